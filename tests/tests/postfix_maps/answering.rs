//! The sockets for Postfix, served by the library in this process: each connection by a thread of its own.

use mailauth_core::Backend;
use mailauth_core::answer::{Answer, NotNow};
use mailauth_core::config::Config;
use mailauth_core::routing::Router;
use mailauth_dovecot::answerer::{Ask, Told};
use mailauth_dovecot::conversation::{Action, Conversation};
use mailauth_dovecot::postfix::{ANSWERED_WITHIN, PolicyConversation, SocketmapConversation};
use mailauth_protocol::Question;
use mailauth_protocol::reply::{account_text, alias_text, domain_text};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

/// Serves both sockets until this process ends, with the accounts of this configuration.
pub fn serve(config: &Path, socketmap: UnixListener, policy: UnixListener) {
    let (config, _) = Config::load(Some(config)).expect("a configuration");
    let router = Backend::open(&config).expect("a database").router;
    accept(socketmap, &router, || SocketmapConversation::new(ANSWERED_WITHIN));
    accept(policy, &router, || PolicyConversation::new(ANSWERED_WITHIN));
}

fn accept<C: Conversation + 'static>(
    listener: UnixListener,
    router: &Arc<Router>,
    new: impl Fn() -> C + Send + 'static,
) {
    let router = Arc::clone(router);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, conversation, router) = (stream.expect("a client"), new(), Arc::clone(&router));
            std::thread::spawn(move || converse(stream, conversation, &router));
        }
    });
}

fn converse(mut stream: UnixStream, mut conversation: impl Conversation, router: &Router) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let mut actions = Vec::new();
        conversation.receive(&buffer[..count], &mut actions);
        while !actions.is_empty() {
            let mut next = Vec::new();
            for action in actions {
                match action {
                    Action::Send(bytes) => drop(stream.write_all(&bytes)),
                    Action::Ask(number, Ask::Address(question, until)) => {
                        let told = Told::Address(answer(router, &question, until));
                        conversation.told(number, Some(told), &mut next);
                    }
                    other => panic!("Postfix sends what is no request: {other:?}"),
                }
            }
            actions = next;
        }
    }
}

/// Answers as the daemon does on its own socket.
fn answer(router: &Router, question: &Question, until: std::time::Instant) -> Answer<String> {
    let unsendable = |why: mailauth_protocol::reply::Unsendable| NotNow::Daemon(why.to_string()).into();
    match question {
        Question::Domain(name) => router.domain(name).map(|mail| domain_text(mail).to_owned()),
        Question::Account(address) => account_text(&router.account(address)?).map_err(unsendable),
        Question::Alias(address) => alias_text(&router.alias(address)?).map_err(unsendable),
        Question::SenderLogins(address) => alias_text(&router.sender_logins(address)?).map_err(unsendable),
        Question::Recipient { address, size } => router.recipient(address, *size, until).map(|()| String::new()),
        Question::Sender { login, address } => router.sender(login, address).map(|()| String::new()),
    }
}
