//! The contact form: empty, brought back with what is wrong, and the page after it was sent.

use axum::response::Response;
use kit::Problem;
use kit::page::{escaped, sentence};

use super::layout::{Place, page};
use super::telling;
use crate::contact::{Form, TRAP};
use crate::message::{EMAIL_MAX, NAME_MAX, TEXT_MAX, TEXT_MIN};

const ABOUT: &str = "Write a message.";

/// The form as everybody finds it.
pub(super) fn empty() -> String {
    page("Contact", ABOUT, Place::Contact, &render(&Form::default(), None))
}

/// The form as it was filled in, with what is wrong.
pub(crate) fn again(form: &Form, problem: &Problem) -> Response {
    telling(problem, page("Not sent", ABOUT, Place::Contact, &render(form, Some(problem))))
}

/// The page after a message.
pub(super) fn thanks() -> String {
    let main = "<section class=\"narrow notice\"><p class=\"eyebrow\">Contact</p><h1>Thank you</h1>\
         <p class=\"lede\">The message is stored. A person who existed would read it and answer.</p>\
         <p><a class=\"button\" href=\"/\">To the beginning</a></p></section>";
    page("Thank you", ABOUT, Place::Contact, main)
}

fn render(form: &Form, problem: Option<&Problem>) -> String {
    let wrong =
        |field: &str| problem.and_then(|problem| problem.errors().iter().find(|error| error.field == field));
    // What is wrong stands beside its field, and readers that do not see the page hear it there.
    let told = |field: &str| match wrong(field) {
        Some(error) => (
            format!(" aria-invalid=\"true\" aria-describedby=\"{field}-wrong\""),
            format!("<p class=\"wrong\" id=\"{field}-wrong\">{}</p>", escaped(&sentence(&error.message))),
        ),
        None => Default::default(),
    };
    let ((name_is, name_wrong), (email_is, email_wrong), (text_is, text_wrong)) =
        (told("name"), told("email"), told("message"));
    let summary = problem.map_or(String::new(), |problem| {
        let what = if problem.errors().is_empty() {
            escaped(&sentence(problem.detail()))
        } else {
            "Something is missing or cannot be right; it is marked below.".to_owned()
        };
        format!("<p class=\"alert\" role=\"alert\"><strong>Not sent.</strong> {what}</p>")
    });
    format!(
        "<section class=\"narrow\"><div class=\"top\"><p class=\"eyebrow\">Contact</p><h1>Write to her</h1>\
         <p class=\"lede\">She does not exist, but the form does: what you write is stored in this site's database and \
         nowhere else.</p></div>{summary}\
         <form class=\"letter\" method=\"post\" action=\"/contact\">\
         <div class=\"field\"><label for=\"name\">Your name</label><input id=\"name\" name=\"name\" required \
         maxlength=\"{NAME_MAX}\" autocomplete=\"name\" value=\"{name}\"{name_is}>{name_wrong}</div>\
         <div class=\"field\"><label for=\"email\">Your address</label><input id=\"email\" name=\"email\" type=\"email\" \
         required maxlength=\"{EMAIL_MAX}\" autocomplete=\"email\" value=\"{email}\"{email_is}>{email_wrong}</div>\
         <div class=\"field wide\"><label for=\"message\">Message</label><textarea id=\"message\" name=\"message\" \
         required rows=\"9\" minlength=\"{TEXT_MIN}\" maxlength=\"{TEXT_MAX}\"{text_is}>\n{text}</textarea>{text_wrong}</div>\
         <div class=\"trap\" aria-hidden=\"true\"><label for=\"{TRAP}\">Leave this empty</label><input id=\"{TRAP}\" \
         name=\"{TRAP}\" tabindex=\"-1\" autocomplete=\"off\"></div>\
         <p><button class=\"primary\" type=\"submit\">Send</button></p></form></section>",
        name = escaped(&form.name),
        email = escaped(&form.email),
        text = escaped(&form.message),
    )
}
