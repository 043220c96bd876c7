//! More than the server takes at once, and clients that take their time.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::fixtures::assert_guarded;
use crate::harness::{Line, Server, assert_error, eventually};

/// A request that makes an opportunity, in two halves of which the second is
/// the end of its body.
fn create_in_halves(server: &Server, name: &str) -> (String, String) {
    let body = json!({ "name": name }).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /v1/opportunities HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        server.key(),
        body.len(),
    );
    (format!("{head}{first}"), second.to_owned())
}

const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

on_both_engines! {
    fn what_is_too_much_is_refused_and_what_was_taken_succeeds(server: &Server) {
        let server = server.another(&["--max-requests", "2"]);
        let client = server.client();
        let mut held: Vec<_> = ["Fence", "Gate"]
            .into_iter()
            .map(|name| {
                let (first, second) = create_in_halves(&server, name);
                let mut line = Line::to(&server);
                line.say(&first);
                (line, second)
            })
            .collect();

        client.await_at_work(2);
        let refused = client.get("/opportunities");
        assert_error(&refused, 503, "SERVICE_UNAVAILABLE", &[]);
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_guarded(&refused);
        // Refused before anything of it was looked at.
        client.without_key().get("/opportunities").expect(503);
        client.under("").get("/healthz").expect(200);
        client.under("").get("/readyz").expect(200);

        for (line, second) in &mut held {
            line.say(second);
            let heard = line.hear_all();
            assert!(heard.starts_with("HTTP/1.1 201 "), "{heard}");
        }
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 2);
    }

    fn a_refusal_is_read_also_by_whoever_sends_its_whole_body_first(server: &Server) {
        let server = server.another(&["--max-requests", "1"]);
        let (first, second) = create_in_halves(&server, "Fence");
        let mut held = Line::to(&server);
        held.say(&first);
        server.client().await_at_work(1);

        // Far more than all buffers on the way can hold.
        let (head, body) = create_in_halves(&server, &"Gate".repeat(4_000_000));
        let mut refused = Line::to(&server);
        refused.say(&head);
        refused.say(&body);
        let heard = refused.hear_all();
        assert!(heard.starts_with("HTTP/1.1 503 "), "{heard}");
        assert!(heard.contains("SERVICE_UNAVAILABLE"), "{heard}");

        held.say(&second);
        assert!(held.hear_all().starts_with("HTTP/1.1 201 "));
    }

    fn whoever_has_sent_half_a_request_and_no_more_is_dropped(server: &Server) {
        let server = server.another(&["--client-timeout", "1"]);
        let (first, _) = create_in_halves(&server, "Fence");
        let half_a_header = &PROBE[..PROBE.len() / 2];
        let mut lines: Vec<_> = ["", half_a_header, &first]
            .into_iter()
            .map(|said| {
                let mut line = Line::to(&server);
                line.say(said);
                line
            })
            .collect();
        let heard: Vec<_> = lines.iter_mut().map(Line::hear_all).collect();
        assert_eq!((heard[0].as_str(), heard[1].as_str()), ("", ""));
        assert!(heard[2].starts_with("HTTP/1.1 400 "), "{}", heard[2]);
        assert_eq!(server.client().get("/opportunities").expect(200).ids().len(), 0);
    }

    fn a_client_that_trickles_its_body_is_dropped(server: &Server) {
        let server = server.another(&["--client-timeout", "1"]);
        let mut line = Line::to(&server);
        let (first, _) = create_in_halves(&server, &"Fence".repeat(1000));
        let (head, _) = first.split_once("Fence").expect("a name");
        line.say(head);
        // Never quiet for as long as the timeout, and never done.
        eventually("the server has closed the connection", || {
            std::thread::sleep(Duration::from_millis(100));
            line.stream().write_all(b"z").err()
        });
    }

    fn a_client_that_does_not_read_is_dropped(server: &Server) {
        let server = server.another(&["--client-timeout", "1", "--max-connections", "1"]);
        let mut line = Line::to(&server);
        let catalog = "GET /api-index.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
        // Far more than all buffers on the way can hold.
        line.say(&catalog.repeat(500));
        // The only place is free again once that one has lost it.
        server.client().under("").get("/healthz").expect(200);
    }

    fn connections_beyond_the_limit_wait_until_one_ends(server: &Server) {
        let server = server.another(&["--max-connections", "2"]);
        let mut open = [Line::to(&server), Line::to(&server)];
        for line in &mut open {
            line.say(PROBE);
            assert!(line.hear_some().is_some_and(|heard| heard.starts_with("HTTP/1.1 200 ")));
        }
        let mut further = Line::to(&server);
        further.say(PROBE);
        further.stream().set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        assert_eq!(further.hear_some(), None);

        let [one, _other] = open;
        drop(one);
        let heard = eventually("there is a place", || further.hear_some());
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    }

    fn a_request_that_had_begun_is_answered_when_the_server_is_asked_to_end(server: &Server) {
        let (first, second) = create_in_halves(server, "Fence");
        let mut idle = Line::to(server);
        idle.say(PROBE);
        assert!(idle.hear_some().is_some());
        let mut begun = Line::to(server);
        begun.say(&first);
        // Taken in turn: when a later one has been answered, this one is in.
        server.client().get("/opportunities").expect(200);

        std::thread::scope(|scope| {
            let ending = scope.spawn(|| server.terminate());
            eventually("no further connection is taken", || {
                TcpStream::connect(server.address()).err()
            });
            begun.say(&second);
            let heard = begun.hear_all();
            assert!(heard.starts_with("HTTP/1.1 201 "), "{heard}");
            assert!(ending.join().expect("its end").success());
        });
        assert_eq!(idle.hear_all(), "");
        server.start_again();
        assert_eq!(server.client().get("/opportunities").expect(200).ids().len(), 1);
    }
}
