//! The people of an opportunity: contacts beside the primary one, and the
//! users who work on it.

use serde_json::{Value, json};

use crate::fixtures::{NOBODY, create, instant, let_time_pass, list, read, text};
use crate::harness::{Client, assert_error};

/// Users of these names, and their ids.
#[track_caller]
fn invite<const N: usize>(client: &Client, names: [&str; N]) -> [String; N] {
    names.map(|name| {
        let body = json!({"full_name": name, "email": format!("{name}@example.com")});
        create(client, "/company/users/invite", body)
    })
}

/// Assigns a user and answers the row.
#[track_caller]
fn assign(client: &Client, opportunity: &str, user: &str) -> Value {
    let path = format!("/opportunities/{opportunity}/users/{user}");
    client.post(&path, json!({})).expect(201).data()
}

/// The users of an opportunity by name, the primary one first and marked.
#[track_caller]
fn team(client: &Client, opportunity: &str) -> Vec<String> {
    let path = format!("/opportunities/{opportunity}/users");
    let rows = client.get(&path).expect(200).data();
    let mut names: Vec<_> = list(&rows)
        .iter()
        .map(|row| {
            let name = text(&row["full_name"]);
            match row["is_primary"].as_bool() {
                Some(true) => format!("!{name}"),
                Some(false) => name,
                None => panic!("{row} does not say whether it is the primary one"),
            }
        })
        .collect();
    names.sort_unstable();
    names
}

on_both_engines! {
    fn additional_contacts_are_contact_records_with_the_time_of_the_link(server: &Server) {
        let client = server.client();
        let contact = create(
            &client,
            "/contacts",
            json!({"first_name": "Ada", "email": "ada@example.com"}),
        );
        let second = create(&client, "/contacts", json!({"first_name": "Bea"}));
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        let path = format!("/opportunities/{id}/contacts");
        assert_eq!(client.get(&path).expect(200).data(), json!([]));

        let row = client
            .post(&format!("{path}/{contact}"), json!({}))
            .expect(201)
            .data();
        let mut expected = read(&client, "/contacts", &contact);
        expected["linked_at"] = row["linked_at"].clone();
        assert_eq!(row, expected);
        instant(&row["linked_at"]);
        let second_row = client
            .raw("POST", &format!("{path}/{second}"), &[], b"")
            .expect(201)
            .data();
        assert_eq!(
            client.get(&path).expect(200).data(),
            json!([second_row, row])
        );

        assert_error(
            &client.post(&format!("{path}/{contact}"), json!({})),
            409,
            "CONFLICT",
            &[],
        );
        assert_eq!(client.get(&path).expect(200).ids().len(), 2);

        assert_eq!(
            client.delete(&format!("{path}/{contact}")).expect(204).text,
            ""
        );
        assert_eq!(client.get(&path).expect(200).data(), json!([second_row]));
        client.get(&format!("/contacts/{contact}")).expect(200);
        assert_error(
            &client.delete(&format!("{path}/{contact}")),
            404,
            "NOT_FOUND",
            &[],
        );
        client
            .post(&format!("{path}/{contact}"), json!({}))
            .expect(201);

        client.delete(&format!("/contacts/{second}")).expect(204);
        assert_eq!(client.get(&path).expect(200).ids(), [contact]);
    }

    fn the_primary_contact_is_not_among_the_additional_ones(server: &Server) {
        let client = server.client();
        let [ada, bea] =
            ["Ada", "Bea"].map(|name| create(&client, "/contacts", json!({"first_name": name})));
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "contact_id": ada}),
        );
        let path = format!("/opportunities/{id}/contacts");
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        assert_error(
            &client.post(&format!("{path}/{ada}"), json!({})),
            409,
            "CONFLICT",
            &[],
        );

        client.post(&format!("{path}/{bea}"), json!({})).expect(201);
        client
            .patch(&format!("/opportunities/{id}"), json!({"contact_id": bea}))
            .expect(200);
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        client.post(&format!("{path}/{ada}"), json!({})).expect(201);
        assert_eq!(client.get(&path).expect(200).ids(), [ada]);
    }

    fn a_link_needs_both_of_its_ends(server: &Server) {
        let client = server.client();
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let [user] = invite(&client, ["cy"]);
        for (kind, other) in [("contacts", &contact), ("users", &user)] {
            for path in [
                format!("/opportunities/{id}/{kind}/{NOBODY}"),
                format!("/opportunities/{NOBODY}/{kind}/{other}"),
            ] {
                assert_error(&client.post(&path, json!({})), 404, "NOT_FOUND", &[]);
                assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
            }
            let malformed = format!("/opportunities/{id}/{kind}/somebody");
            assert_error(
                &client.post(&malformed, json!({})),
                400,
                "VALIDATION_ERROR",
                &[],
            );
            assert_error(
                &client.get(&format!("/opportunities/{NOBODY}/{kind}")),
                404,
                "NOT_FOUND",
                &[],
            );
        }
    }

    fn assigned_users_are_user_records_with_their_part_in_it(server: &Server) {
        let client = server.client();
        let [ann, bob] = invite(&client, ["ann", "bob"]);
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        let row = assign(&client, &id, &ann);
        let mut expected = read(&client, "/company/users", &ann);
        expected["is_primary"] = json!(true);
        expected["assigned_at"] = row["assigned_at"].clone();
        assert_eq!(row, expected);
        instant(&row["assigned_at"]);
        let second = assign(&client, &id, &bob);
        assert_eq!(second["is_primary"], false);

        let path = format!("/opportunities/{id}/users");
        assert_eq!(client.get(&path).expect(200).data(), json!([second, row]));
        assert_error(
            &client.post(&format!("{path}/{ann}"), json!({})),
            409,
            "CONFLICT",
            &[],
        );
        assert_eq!(client.get(&path).expect(200).data(), json!([second, row]));
        for user in [&ann, &bob] {
            assert_eq!(
                client
                    .get(&format!("/opportunities?assigned_to={user}"))
                    .expect(200)
                    .ids(),
                [id.clone()]
            );
        }

        assert_eq!(client.delete(&format!("{path}/{bob}")).expect(204).text, "");
        assert_eq!(client.get(&path).expect(200).data(), json!([row]));
        assert_error(
            &client.delete(&format!("{path}/{bob}")),
            404,
            "NOT_FOUND",
            &[],
        );
        client.get(&format!("/company/users/{bob}")).expect(200);
    }

    fn removing_the_primary_user_promotes_the_one_assigned_next(server: &Server) {
        let client = server.client();
        let [ann, bob, cy, dan] = invite(&client, ["ann", "bob", "cy", "dan"]);
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        // Not in the order of their ids, and never two at one instant.
        for user in [&cy, &ann, &dan, &bob] {
            let_time_pass(&assign(&client, &id, user)["assigned_at"]);
        }
        let remove = |user: &str| {
            client
                .delete(&format!("/opportunities/{id}/users/{user}"))
                .expect(204)
        };
        assert_eq!(team(&client, &id), ["!cy", "ann", "bob", "dan"]);
        remove(&dan);
        assert_eq!(team(&client, &id), ["!cy", "ann", "bob"]);
        remove(&cy);
        assert_eq!(team(&client, &id), ["!ann", "bob"]);

        // Back again, but behind those who stayed.
        assign(&client, &id, &cy);
        assert_eq!(team(&client, &id), ["!ann", "bob", "cy"]);
        remove(&ann);
        assert_eq!(team(&client, &id), ["!bob", "cy"]);
        remove(&bob);
        remove(&cy);
        assert_eq!(team(&client, &id), Vec::<String>::new());
        assign(&client, &id, &dan);
        assert_eq!(team(&client, &id), ["!dan"]);
    }

    fn of_those_who_are_assigned_at_once_one_is_primary(server: &Server) {
        let client = server.client();
        let users = invite(&client, ["ann", "bob", "cy", "dan"]);
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        // Each of them twice: one link is made, the other refused.
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = users
                .iter()
                .chain(&users)
                .map(|user| {
                    let path = format!("/opportunities/{id}/users/{user}");
                    let client = &client;
                    scope.spawn(move || client.post(&path, json!({})).status)
                })
                .collect();
            calls
                .into_iter()
                .map(|call| call.join().expect("an answer"))
                .collect()
        });
        let counted = |status| statuses.iter().filter(|seen| **seen == status).count();
        assert_eq!((counted(201), counted(409)), (4, 4), "{statuses:?}");
        let primary = team(&client, &id)
            .iter()
            .filter(|name| name.starts_with('!'))
            .count();
        assert_eq!(primary, 1);
    }

    fn a_user_who_is_deleted_hands_over_every_opportunity(server: &Server) {
        let client = server.client();
        let [ann, bob] = invite(&client, ["ann", "bob"]);
        let [led, joined] =
            ["Led", "Joined"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        for (opportunity, users) in [(&led, [&ann, &bob]), (&joined, [&bob, &ann])] {
            for user in users {
                let_time_pass(&assign(&client, opportunity, user)["assigned_at"]);
            }
        }
        client.delete(&format!("/company/users/{ann}")).expect(204);
        assert_eq!(team(&client, &led), ["!bob"]);
        assert_eq!(team(&client, &joined), ["!bob"]);
    }
}
