#compdef tidegate

autoload -U is-at-least

_tidegate() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_tidegate_commands" \
"*::: :->tidegate" \
&& ret=0
    case $state in
    (tidegate)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
'(--to --listen --admin)-c+[The configuration \[default\: tidegate.toml in this folder\]]:FILE:_files' \
'(--to --listen --admin)--config=[The configuration \[default\: tidegate.toml in this folder\]]:FILE:_files' \
'*--to=[Address of the app\: host\:port or unix\:/path; once for each instance]:ADDRESS:_default' \
'--listen=[Where to listen \[default\: 127.0.0.1\:8080\]; "\:8080" is every address of this machine]:ADDRESS:_default' \
'--admin=[Admin listener, or "off" \[default\: 127.0.0.1\:9900\]; with a file, the file says it]:ADDRESS:_default' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration]:FILE:_files' \
'--config=[The configuration]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'*-H+[A field of it, once for each\: "name\: value"]:FIELD:_default' \
'*--header=[A field of it, once for each\: "name\: value"]:FIELD:_default' \
'--client=[Address of the client who would ask, for limits, and for networks that are allowed or denied]:ADDRESS:_default' \
'-c+[Explain by this configuration instead of asking the running Tidegate]:FILE:_files' \
'--config=[Explain by this configuration instead of asking the running Tidegate]:FILE:_files' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
':method -- Method of the request:_default' \
':url -- Its URL\: http\://host/path:_default' \
&& ret=0
;;
(reload)
_arguments "${_arguments_options[@]}" : \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'--json[As JSON, for programs]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(drain)
_arguments "${_arguments_options[@]}" : \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'--undo[Let it back in]' \
'-h[Print help]' \
'--help[Print help]' \
':endpoint -- Which\: UPSTREAM/ENDPOINT, as status shows them:_default' \
&& ret=0
;;
(surge)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_tidegate__subcmd__surge_commands" \
"*::: :->surge" \
&& ret=0

    case $state in
    (surge)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-surge-command-$line[1]:"
        case $line[1] in
            (on)
_arguments "${_arguments_options[@]}" : \
'--for=[It ends by itself after so long\: 30m, 1h30m]:TIME:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
'::name -- Which\: NAME of \[surge.NAME\]; may be left out where there is only one:_default' \
&& ret=0
;;
(off)
_arguments "${_arguments_options[@]}" : \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__surge__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-surge-help-command-$line[1]:"
        case $line[1] in
            (on)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(off)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(load)
_arguments "${_arguments_options[@]}" : \
'--rate=[Requests per second, whatever the target does, such as 1000/s \[default\: 100/s\]]:RATE:_default' \
'--for=[How long, such as 30s; with --find-capacity, each trial \[default\: 10s; trials\: 5s\]]:TIME:_default' \
'-c+[So many users, each with a connection, that take turns; without --rate, each asks once a second]:COUNT:_default' \
'--users=[So many users, each with a connection, that take turns; without --rate, each asks once a second]:COUNT:_default' \
'--connections=[So many users, each with a connection, that take turns; without --rate, each asks once a second]:COUNT:_default' \
'-n+[So many requests in all; without --rate, as with --closed]:COUNT:_default' \
'--requests=[So many requests in all; without --rate, as with --closed]:COUNT:_default' \
'-X+[Method \[default\: GET, or POST with a body\]]:METHOD:_default' \
'--method=[Method \[default\: GET, or POST with a body\]]:METHOD:_default' \
'*-H+[A field, once for each\: "name\: value"]:FIELD:_default' \
'*--header=[A field, once for each\: "name\: value"]:FIELD:_default' \
'-d+[Body, or @FILE that holds it]:BODY:_default' \
'--body=[Body, or @FILE that holds it]:BODY:_default' \
'--timeout=[Longest time for an answer \[default\: 30s\]]:TIME:_default' \
'*--threshold=[What has to hold, once for each, such as "p95 < 100ms" or "rate >= 900/s" \[default\: "success >= 99.9%"\]]:CONDITION:_default' \
'--json=[Write the report as JSON, for programs, compare and merge]:FILE:_files' \
'--html=[Write the report as a page to look at]:FILE:_files' \
'--junit=[Write the verdict as JUnit XML, for CI]:FILE:_files' \
'*--source=[Local address to connect from, once for each, or a range such as 127.0.0.1-127.0.0.9]:ADDRESS:_default' \
'--seed=[Seed of everything random, to play a run again]:SEED:_default' \
'--threads=[Threads of all processes \[default\: one for each core\]]:COUNT:_default' \
'--processes=[Processes \[default\: as many as the connections need\]]:COUNT:_default' \
'--part=[Which of the processes this one is]:PART:_default' \
'(--rate --poisson --find-capacity)--closed[Closed model\: every user asks again as soon as it has its answer, so a slow target is asked less]' \
'--poisson[Requests come at random, as independent people do, instead of evenly]' \
'(-n --requests)--find-capacity[Find the largest rate that meets the thresholds, beginning at --rate]' \
'--no-keep-alive[A connection for each request]' \
'-q[No live view while it runs]' \
'--quiet[No live view while it runs]' \
'--i-own-this-target[Load a target that is not this machine, without being asked; it has to be yours]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':target -- What to load\: a URL, or a scenario (a .toml file):_default' \
":: :_tidegate__subcmd__load_commands" \
"*::: :->load" \
&& ret=0

    case $state in
    (load)
        words=($line[2] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-load-command-$line[2]:"
        case $line[2] in
            (compare)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':before -- The run before:_files' \
':after -- The run after:_files' \
&& ret=0
;;
(merge)
_arguments "${_arguments_options[@]}" : \
'--json=[Write the report as JSON, for programs, compare and merge]:FILE:_files' \
'--html=[Write the report as a page to look at]:FILE:_files' \
'--junit=[Write the verdict as JUnit XML, for CI]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
'*::reports -- Files that --json wrote:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__load__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-load-help-command-$line[1]:"
        case $line[1] in
            (compare)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(merge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(cache)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_tidegate__subcmd__cache_commands" \
"*::: :->cache" \
&& ret=0

    case $state in
    (cache)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-cache-command-$line[1]:"
        case $line[1] in
            (purge)
_arguments "${_arguments_options[@]}" : \
'--url=[One URL, with all its variants]:URL:_default' \
'--prefix=[Every URL that begins so\: http\://host/path]:PREFIX:_default' \
'--tag=[Every answer that has this tag in Cache-Tag or Surrogate-Key]:TAG:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'--all[Everything]' \
'--soft[Make it stale instead\: it is given out once more where stale answers may be, and fetched anew]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--prefix=[Only URLs that begin so\: http\://host/path]:PREFIX:_default' \
'--limit=[How many at most]:COUNT:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'--json[As JSON, for programs]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(top)
_arguments "${_arguments_options[@]}" : \
'--limit=[How many at most]:COUNT:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'--json[As JSON, for programs]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'*-H+[A field of the request, once for each\: "name\: value"]:FIELD:_default' \
'*--header=[A field of the request, once for each\: "name\: value"]:FIELD:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help]' \
'--help[Print help]' \
':url -- The URL\: http\://host/path:_default' \
&& ret=0
;;
(warm)
_arguments "${_arguments_options[@]}" : \
'--concurrency=[Requests at once]:COUNT:_default' \
'--to=[Where to ask\: host\:port or unix\:/path \[default\: the first listener of the running Tidegate\]]:ADDRESS:_default' \
'*-H+[A field of every request, once for each\: "name\: value"]:FIELD:_default' \
'*--header=[A field of every request, once for each\: "name\: value"]:FIELD:_default' \
'--admin=[Admin listener of the running Tidegate]:ADDRESS:_default' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':source -- A URL, a sitemap, or a file with one URL in each line:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__cache__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-cache-help-command-$line[1]:"
        case $line[1] in
            (purge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(top)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(warm)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':shell -- Which shell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(docs)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':folder -- Folder, made if need be:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-help-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reload)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(drain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(surge)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__help__subcmd__surge_commands" \
"*::: :->surge" \
&& ret=0

    case $state in
    (surge)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-help-surge-command-$line[1]:"
        case $line[1] in
            (on)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(off)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(load)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__help__subcmd__load_commands" \
"*::: :->load" \
&& ret=0

    case $state in
    (load)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-help-load-command-$line[1]:"
        case $line[1] in
            (compare)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(merge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(cache)
_arguments "${_arguments_options[@]}" : \
":: :_tidegate__subcmd__help__subcmd__cache_commands" \
"*::: :->cache" \
&& ret=0

    case $state in
    (cache)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:tidegate-help-cache-command-$line[1]:"
        case $line[1] in
            (purge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(top)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(warm)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(docs)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_tidegate_commands] )) ||
_tidegate_commands() {
    local commands; commands=(
'run:Stand in front of an app, until told to stop' \
'check:Check a configuration and say everything that is wrong with it' \
'explain:Say what would be done with a request, and why' \
'reload:Have a running Tidegate read its configuration again' \
'status:Show what a running Tidegate is doing' \
'drain:Take an endpoint out of the traffic\: what it works on is finished, nothing new is sent' \
'surge:Tighten limits, queues and waiting rooms of a running Tidegate while more comes than it should' \
'load:Load a web app, and say whether it holds\: open-loop load with honest latencies' \
'cache:Look into the cache of a running Tidegate, take things out, fill it' \
'completions:Print the completions of a shell' \
'man:Print the manual page (roff)' \
'docs:Write the generated reference pages into a folder' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache_commands] )) ||
_tidegate__subcmd__cache_commands() {
    local commands; commands=(
'purge:Take answers out, or make them stale' \
'list:List what is in it' \
'top:List what was given out most' \
'explain:Say whether a URL is cached, why, until when, and how to change it' \
'warm:Fill it\: ask for every URL of a list or a sitemap, as a browser would' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate cache commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__explain_commands] )) ||
_tidegate__subcmd__cache__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache explain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help_commands] )) ||
_tidegate__subcmd__cache__subcmd__help_commands() {
    local commands; commands=(
'purge:Take answers out, or make them stale' \
'list:List what is in it' \
'top:List what was given out most' \
'explain:Say whether a URL is cached, why, until when, and how to change it' \
'warm:Fill it\: ask for every URL of a list or a sitemap, as a browser would' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate cache help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__explain_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help explain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__help_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__list_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help list commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__purge_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help purge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__top_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__top_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help top commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__help__subcmd__warm_commands] )) ||
_tidegate__subcmd__cache__subcmd__help__subcmd__warm_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache help warm commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__list_commands] )) ||
_tidegate__subcmd__cache__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache list commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__purge_commands] )) ||
_tidegate__subcmd__cache__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache purge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__top_commands] )) ||
_tidegate__subcmd__cache__subcmd__top_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache top commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__cache__subcmd__warm_commands] )) ||
_tidegate__subcmd__cache__subcmd__warm_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate cache warm commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__check_commands] )) ||
_tidegate__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate check commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__completions_commands] )) ||
_tidegate__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate completions commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__docs_commands] )) ||
_tidegate__subcmd__docs_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate docs commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__drain_commands] )) ||
_tidegate__subcmd__drain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate drain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__explain_commands] )) ||
_tidegate__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate explain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help_commands] )) ||
_tidegate__subcmd__help_commands() {
    local commands; commands=(
'run:Stand in front of an app, until told to stop' \
'check:Check a configuration and say everything that is wrong with it' \
'explain:Say what would be done with a request, and why' \
'reload:Have a running Tidegate read its configuration again' \
'status:Show what a running Tidegate is doing' \
'drain:Take an endpoint out of the traffic\: what it works on is finished, nothing new is sent' \
'surge:Tighten limits, queues and waiting rooms of a running Tidegate while more comes than it should' \
'load:Load a web app, and say whether it holds\: open-loop load with honest latencies' \
'cache:Look into the cache of a running Tidegate, take things out, fill it' \
'completions:Print the completions of a shell' \
'man:Print the manual page (roff)' \
'docs:Write the generated reference pages into a folder' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache_commands] )) ||
_tidegate__subcmd__help__subcmd__cache_commands() {
    local commands; commands=(
'purge:Take answers out, or make them stale' \
'list:List what is in it' \
'top:List what was given out most' \
'explain:Say whether a URL is cached, why, until when, and how to change it' \
'warm:Fill it\: ask for every URL of a list or a sitemap, as a browser would' \
    )
    _describe -t commands 'tidegate help cache commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache__subcmd__explain_commands] )) ||
_tidegate__subcmd__help__subcmd__cache__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help cache explain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache__subcmd__list_commands] )) ||
_tidegate__subcmd__help__subcmd__cache__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help cache list commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache__subcmd__purge_commands] )) ||
_tidegate__subcmd__help__subcmd__cache__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help cache purge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache__subcmd__top_commands] )) ||
_tidegate__subcmd__help__subcmd__cache__subcmd__top_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help cache top commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__cache__subcmd__warm_commands] )) ||
_tidegate__subcmd__help__subcmd__cache__subcmd__warm_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help cache warm commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__check_commands] )) ||
_tidegate__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help check commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__completions_commands] )) ||
_tidegate__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help completions commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__docs_commands] )) ||
_tidegate__subcmd__help__subcmd__docs_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help docs commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__drain_commands] )) ||
_tidegate__subcmd__help__subcmd__drain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help drain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__explain_commands] )) ||
_tidegate__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help explain commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__help_commands] )) ||
_tidegate__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__load_commands] )) ||
_tidegate__subcmd__help__subcmd__load_commands() {
    local commands; commands=(
'compare:Say whether one run was better than another, or whether it was only noise' \
'merge:Make one report of several runs that went on at the same time, such as from several machines' \
    )
    _describe -t commands 'tidegate help load commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__load__subcmd__compare_commands] )) ||
_tidegate__subcmd__help__subcmd__load__subcmd__compare_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help load compare commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__load__subcmd__merge_commands] )) ||
_tidegate__subcmd__help__subcmd__load__subcmd__merge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help load merge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__man_commands] )) ||
_tidegate__subcmd__help__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help man commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__reload_commands] )) ||
_tidegate__subcmd__help__subcmd__reload_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help reload commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__run_commands] )) ||
_tidegate__subcmd__help__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help run commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__status_commands] )) ||
_tidegate__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help status commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__surge_commands] )) ||
_tidegate__subcmd__help__subcmd__surge_commands() {
    local commands; commands=(
'on:Switch one on, in place of any other' \
'off:Switch off what is on' \
'status:Say which there are, what they tighten, and which is on for how long' \
    )
    _describe -t commands 'tidegate help surge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__surge__subcmd__off_commands] )) ||
_tidegate__subcmd__help__subcmd__surge__subcmd__off_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help surge off commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__surge__subcmd__on_commands] )) ||
_tidegate__subcmd__help__subcmd__surge__subcmd__on_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help surge on commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__help__subcmd__surge__subcmd__status_commands] )) ||
_tidegate__subcmd__help__subcmd__surge__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate help surge status commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load_commands] )) ||
_tidegate__subcmd__load_commands() {
    local commands; commands=(
'compare:Say whether one run was better than another, or whether it was only noise' \
'merge:Make one report of several runs that went on at the same time, such as from several machines' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate load commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__compare_commands] )) ||
_tidegate__subcmd__load__subcmd__compare_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate load compare commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__help_commands] )) ||
_tidegate__subcmd__load__subcmd__help_commands() {
    local commands; commands=(
'compare:Say whether one run was better than another, or whether it was only noise' \
'merge:Make one report of several runs that went on at the same time, such as from several machines' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate load help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__help__subcmd__compare_commands] )) ||
_tidegate__subcmd__load__subcmd__help__subcmd__compare_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate load help compare commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__help__subcmd__help_commands] )) ||
_tidegate__subcmd__load__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate load help help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__help__subcmd__merge_commands] )) ||
_tidegate__subcmd__load__subcmd__help__subcmd__merge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate load help merge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__load__subcmd__merge_commands] )) ||
_tidegate__subcmd__load__subcmd__merge_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate load merge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__man_commands] )) ||
_tidegate__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate man commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__reload_commands] )) ||
_tidegate__subcmd__reload_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate reload commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__run_commands] )) ||
_tidegate__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate run commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__status_commands] )) ||
_tidegate__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate status commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge_commands] )) ||
_tidegate__subcmd__surge_commands() {
    local commands; commands=(
'on:Switch one on, in place of any other' \
'off:Switch off what is on' \
'status:Say which there are, what they tighten, and which is on for how long' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate surge commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__help_commands] )) ||
_tidegate__subcmd__surge__subcmd__help_commands() {
    local commands; commands=(
'on:Switch one on, in place of any other' \
'off:Switch off what is on' \
'status:Say which there are, what they tighten, and which is on for how long' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'tidegate surge help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__help__subcmd__help_commands] )) ||
_tidegate__subcmd__surge__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge help help commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__help__subcmd__off_commands] )) ||
_tidegate__subcmd__surge__subcmd__help__subcmd__off_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge help off commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__help__subcmd__on_commands] )) ||
_tidegate__subcmd__surge__subcmd__help__subcmd__on_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge help on commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__help__subcmd__status_commands] )) ||
_tidegate__subcmd__surge__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge help status commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__off_commands] )) ||
_tidegate__subcmd__surge__subcmd__off_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge off commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__on_commands] )) ||
_tidegate__subcmd__surge__subcmd__on_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge on commands' commands "$@"
}
(( $+functions[_tidegate__subcmd__surge__subcmd__status_commands] )) ||
_tidegate__subcmd__surge__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'tidegate surge status commands' commands "$@"
}

if [ "$funcstack[1]" = "_tidegate" ]; then
    _tidegate "$@"
else
    compdef _tidegate tidegate
fi
