//! The owner's page: the messages, newest first. The browser asks for the token as a password (RFC 7617), so there is
//! no session to keep and nothing to log out of.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::Problem;
use kit::page::{escaped, same_origin};

use super::layout::{Place, each, page};
use super::{error, unkept};
use crate::app::App;
use crate::contact::see;
use crate::store::Stored;

/// Messages on one page.
const SHOWN: u32 = 50;

/// `GET /messages`, `GET /messages?before=ID`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Response {
    let listed = async {
        authorise(app.owner_token.as_deref(), &asked)?;
        let before = before(&query.unwrap_or_default())?;
        let (messages, total) = app.store.list(before, SHOWN).await?;
        Ok::<_, Problem>(unkept(render(&messages, total).into_response()))
    };
    listed.await.unwrap_or_else(|problem| refused(&problem))
}

/// `POST /messages/{id}/delete`: the button beside a message.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response {
    let deleted = async {
        same_origin(&asked)?;
        authorise(app.owner_token.as_deref(), &asked)?;
        let id = id.parse().map_err(|_| Problem::no_such_path(&format!("/messages/{id}/delete")))?;
        Ok::<_, Problem>(app.store.delete(id).await?)
    };
    match deleted.await {
        Ok(()) => see("/messages"),
        Err(problem) => refused(&problem),
    }
}

fn refused(problem: &Problem) -> Response {
    let mut response = error(problem);
    if problem.status() == StatusCode::UNAUTHORIZED {
        let how = HeaderValue::from_static("Basic realm=\"messages\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    response
}

/// The token has to come as the password of whatever user, or as a bearer token.
fn authorise(token: Option<&str>, asked: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else {
        let detail = "messages cannot be read here; start the site with RESUME_OWNER_TOKEN to allow it";
        return Err(Problem::new(StatusCode::FORBIDDEN, "messages-off", detail));
    };
    let given = asked.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(secret).is_some_and(|given| kit::is_same_secret(&given, token.as_bytes())) {
        return Ok(());
    }
    let detail = "messages are for the owner: any user name, and the owner's token as the password";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong-token", detail))
}

fn secret(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, given) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(given.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(given.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

fn before(query: &str) -> Result<i64, Problem> {
    let given = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "before");
    given.map_or(Ok(i64::MAX), |(_, id)| {
        let wrong =
            |_| Problem::invalid(vec![kit::FieldError::new("before", format!("no message's id: {id:?}"))]);
        id.parse().map_err(wrong)
    })
}

fn render(messages: &[Stored], total: i64) -> String {
    let items = each(messages, item);
    let list = match messages {
        [] => "<p class=\"lede\">Nobody has written yet, or not before that.</p>".to_owned(),
        _ => format!("<ol class=\"mailbox\">{items}</ol>"),
    };
    let older = match messages.last() {
        Some(last) if messages.len() == SHOWN as usize => {
            format!(
                "<nav class=\"next\" aria-label=\"More messages\"><a href=\"/messages?before={}\">Older</a></nav>",
                last.id
            )
        }
        _ => String::new(),
    };
    let main = format!(
        "<section class=\"narrow\"><div class=\"top\"><p class=\"eyebrow\">For the owner</p><h1>Messages</h1>\
         <p class=\"muted\">{total} stored, newest first.</p></div>{list}{older}</section>"
    );
    page("Messages", "The messages.", Place::Elsewhere, &main)
}

fn item(Stored { id, received_at, name, email, text }: &Stored) -> String {
    // Encoded, so that an address can add nothing to the mail that the link begins.
    let to: String = form_urlencoded::byte_serialize(email.as_bytes()).collect();
    let (name, email, text) = (escaped(name), escaped(email), escaped(text));
    format!(
        "<li class=\"stored\" id=\"m{id}\"><header><h2>{name}</h2><a href=\"mailto:{to}\">{email}</a>\
         <time datetime=\"{received_at}\">{received_at}</time></header><p class=\"text\">{text}</p>\
         <form method=\"post\" action=\"/messages/{id}/delete\">\
         <button class=\"quiet\" aria-label=\"Delete the message of {name}\">Delete</button></form></li>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_as_a_password_or_as_a_bearer() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(secret(&basic("owner:a:b")).unwrap(), b"a:b", "only the first colon parts them");
        assert_eq!(secret(&basic(":token")).unwrap(), b"token");
        assert_eq!(secret("bearer token").unwrap(), b"token");
        for wrong in ["", "token", "Digest token", "Basic ???", &basic("no colon")] {
            assert_eq!(secret(wrong), None, "{wrong}");
        }
    }
}
