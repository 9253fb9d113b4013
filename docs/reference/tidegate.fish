# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tidegate_global_optspecs
    string join \n h/help V/version
end

function __fish_tidegate_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tidegate_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tidegate_using_subcommand
    set -l cmd (__fish_tidegate_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tidegate -n "__fish_tidegate_needs_command" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_needs_command" -s V -l version -d 'Print version'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "run" -d 'Stand in front of an app, until told to stop'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "check" -d 'Check a configuration and say everything that is wrong with it'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "explain" -d 'Say what would be done with a request, and why'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "reload" -d 'Have a running Tidegate read its configuration again'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "status" -d 'Show what a running Tidegate is doing'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "drain" -d 'Take an endpoint out of the traffic: what it works on is finished, nothing new is sent'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "surge" -d 'Tighten limits, queues and waiting rooms of a running Tidegate while more comes than it should'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "load" -d 'Load a web app, and say whether it holds: open-loop load with honest latencies'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "cache" -d 'Look into the cache of a running Tidegate, take things out, fill it'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "man" -d 'Print the manual page (roff)'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "docs" -d 'Write the generated reference pages into a folder'
complete -c tidegate -n "__fish_tidegate_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand run" -s c -l config -d 'The configuration [default: tidegate.toml in this folder]' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand run" -l to -d 'Address of the app: host:port or unix:/path; once for each instance' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand run" -l listen -d 'Where to listen [default: 127.0.0.1:8080]; ":8080" is every address of this machine' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand run" -l admin -d 'Admin listener, or "off" [default: 127.0.0.1:9900]; with a file, the file says it' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand check" -s c -l config -d 'The configuration' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand check" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand explain" -s H -l header -d 'A field of it, once for each: "name: value"' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand explain" -l client -d 'Address of the client who would ask, for limits, and for networks that are allowed or denied' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand explain" -s c -l config -d 'Explain by this configuration instead of asking the running Tidegate' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand explain" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand explain" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand reload" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand reload" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand status" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand status" -l json -d 'As JSON, for programs'
complete -c tidegate -n "__fish_tidegate_using_subcommand status" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand drain" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand drain" -l undo -d 'Let it back in'
complete -c tidegate -n "__fish_tidegate_using_subcommand drain" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and not __fish_seen_subcommand_from on off status help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and not __fish_seen_subcommand_from on off status help" -f -a "on" -d 'Switch one on, in place of any other'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and not __fish_seen_subcommand_from on off status help" -f -a "off" -d 'Switch off what is on'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and not __fish_seen_subcommand_from on off status help" -f -a "status" -d 'Say which there are, what they tighten, and which is on for how long'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and not __fish_seen_subcommand_from on off status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from on" -l for -d 'It ends by itself after so long: 30m, 1h30m' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from on" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from on" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from off" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from off" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from status" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from help" -f -a "on" -d 'Switch one on, in place of any other'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from help" -f -a "off" -d 'Switch off what is on'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say which there are, what they tighten, and which is on for how long'
complete -c tidegate -n "__fish_tidegate_using_subcommand surge; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l rate -d 'Requests per second, whatever the target does, such as 1000/s [default: 100/s]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l for -d 'How long, such as 30s; with --find-capacity, each trial [default: 10s; trials: 5s]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s c -l users -l connections -d 'So many users, each with a connection, that take turns; without --rate, each asks once a second' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s n -l requests -d 'So many requests in all; without --rate, as with --closed' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s X -l method -d 'Method [default: GET, or POST with a body]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s H -l header -d 'A field, once for each: "name: value"' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s d -l body -d 'Body, or @FILE that holds it' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l timeout -d 'Longest time for an answer [default: 30s]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l threshold -d 'What has to hold, once for each, such as "p95 < 100ms" or "rate >= 900/s" [default: "success >= 99.9%"]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l json -d 'Write the report as JSON, for programs, compare and merge' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l html -d 'Write the report as a page to look at' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l junit -d 'Write the verdict as JUnit XML, for CI' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l source -d 'Local address to connect from, once for each, or a range such as 127.0.0.1-127.0.0.9' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l seed -d 'Seed of everything random, to play a run again' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l threads -d 'Threads of all processes [default: one for each core]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l processes -d 'Processes [default: as many as the connections need]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l part -d 'Which of the processes this one is' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l closed -d 'Closed model: every user asks again as soon as it has its answer, so a slow target is asked less'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l poisson -d 'Requests come at random, as independent people do, instead of evenly'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l find-capacity -d 'Find the largest rate that meets the thresholds, beginning at --rate'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l no-keep-alive -d 'A connection for each request'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s q -l quiet -d 'No live view while it runs'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -l i-own-this-target -d 'Load a target that is not this machine, without being asked; it has to be yours'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -a "compare" -d 'Say whether one run was better than another, or whether it was only noise'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -a "merge" -d 'Make one report of several runs that went on at the same time, such as from several machines'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and not __fish_seen_subcommand_from compare merge help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from merge" -l json -d 'Write the report as JSON, for programs, compare and merge' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from merge" -l html -d 'Write the report as a page to look at' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from merge" -l junit -d 'Write the verdict as JUnit XML, for CI' -r -F
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from merge" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from help" -f -a "compare" -d 'Say whether one run was better than another, or whether it was only noise'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from help" -f -a "merge" -d 'Make one report of several runs that went on at the same time, such as from several machines'
complete -c tidegate -n "__fish_tidegate_using_subcommand load; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "purge" -d 'Take answers out, or make them stale'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "list" -d 'List what is in it'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "top" -d 'List what was given out most'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "explain" -d 'Say whether a URL is cached, why, until when, and how to change it'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "warm" -d 'Fill it: ask for every URL of a list or a sitemap, as a browser would'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and not __fish_seen_subcommand_from purge list top explain warm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l url -d 'One URL, with all its variants' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l prefix -d 'Every URL that begins so: http://host/path' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l tag -d 'Every answer that has this tag in Cache-Tag or Surrogate-Key' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l all -d 'Everything'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -l soft -d 'Make it stale instead: it is given out once more where stale answers may be, and fetched anew'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from list" -l prefix -d 'Only URLs that begin so: http://host/path' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from list" -l limit -d 'How many at most' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from list" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from list" -l json -d 'As JSON, for programs'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from top" -l limit -d 'How many at most' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from top" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from top" -l json -d 'As JSON, for programs'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from top" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from explain" -s H -l header -d 'A field of the request, once for each: "name: value"' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from explain" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from warm" -l concurrency -d 'Requests at once' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from warm" -l to -d 'Where to ask: host:port or unix:/path [default: the first listener of the running Tidegate]' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from warm" -s H -l header -d 'A field of every request, once for each: "name: value"' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from warm" -l admin -d 'Admin listener of the running Tidegate' -r
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from warm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Take answers out, or make them stale'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "list" -d 'List what is in it'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "top" -d 'List what was given out most'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Say whether a URL is cached, why, until when, and how to change it'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "warm" -d 'Fill it: ask for every URL of a list or a sitemap, as a browser would'
complete -c tidegate -n "__fish_tidegate_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand completions" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand man" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand docs" -s h -l help -d 'Print help'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "run" -d 'Stand in front of an app, until told to stop'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "check" -d 'Check a configuration and say everything that is wrong with it'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "explain" -d 'Say what would be done with a request, and why'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "reload" -d 'Have a running Tidegate read its configuration again'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "status" -d 'Show what a running Tidegate is doing'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "drain" -d 'Take an endpoint out of the traffic: what it works on is finished, nothing new is sent'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "surge" -d 'Tighten limits, queues and waiting rooms of a running Tidegate while more comes than it should'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "load" -d 'Load a web app, and say whether it holds: open-loop load with honest latencies'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "cache" -d 'Look into the cache of a running Tidegate, take things out, fill it'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "completions" -d 'Print the completions of a shell'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "man" -d 'Print the manual page (roff)'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "docs" -d 'Write the generated reference pages into a folder'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and not __fish_seen_subcommand_from run check explain reload status drain surge load cache completions man docs help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from surge" -f -a "on" -d 'Switch one on, in place of any other'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from surge" -f -a "off" -d 'Switch off what is on'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from surge" -f -a "status" -d 'Say which there are, what they tighten, and which is on for how long'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from load" -f -a "compare" -d 'Say whether one run was better than another, or whether it was only noise'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from load" -f -a "merge" -d 'Make one report of several runs that went on at the same time, such as from several machines'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "purge" -d 'Take answers out, or make them stale'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "list" -d 'List what is in it'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "top" -d 'List what was given out most'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "explain" -d 'Say whether a URL is cached, why, until when, and how to change it'
complete -c tidegate -n "__fish_tidegate_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "warm" -d 'Fill it: ask for every URL of a list or a sitemap, as a browser would'
