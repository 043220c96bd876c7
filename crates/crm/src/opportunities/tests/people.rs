//! The additional contacts and the assigned users.

use serde_json::{Value as Json, json};

use super::super::*;
use crate::testing::{attempt, given};
use crate::users;

fn ids_of<T: serde::Serialize>(page: &Page<T>) -> Vec<Json> {
    let rows = page.items.iter();
    rows.map(|row| serde_json::to_value(row).unwrap()["id"].clone())
        .collect()
}

on_both_engines! {
    fn an_additional_contact_is_linked_once_and_unlinked_without_being_deleted(tx, desk) {
        let (ada, id) = (desk.contact(tx, "Ada")?, desk.opportunity(tx, "Deal")?.id);
        let row = add_contact(tx, &desk.later(60), id, ada.id)?;
        let mut expected = serde_json::to_value(&ada).unwrap();
        expected["linked_at"] = json!(desk.later(60).now);
        assert_eq!(serde_json::to_value(&row).unwrap(), expected);
        assert_eq!(attempt(tx, |tx| add_contact(tx, &desk.who, id, ada.id)), "conflict");
        let page = super::super::contacts(tx, &desk.who, id, PageRequest::default())?;
        assert_eq!(serde_json::to_value(&page.items[0]).unwrap(), expected);
        remove_contact(tx, &desk.who, id, ada.id)?;
        assert_eq!(attempt(tx, |tx| remove_contact(tx, &desk.who, id, ada.id)), "not linked: contact");
        record::get::<Contact>(tx, &desk.who, ada.id)?;
    }

    fn the_primary_contact_is_never_an_additional_one(tx, desk) {
        let (ada, ben) = (desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id);
        let id = desk.create(tx, json!({ "name": "Deal", "contact_id": ada }))?.id;
        assert_eq!(attempt(tx, |tx| add_contact(tx, &desk.who, id, ada)), "conflict");
        add_contact(tx, &desk.who, id, ben)?;
        desk.patch(tx, id, json!({ "contact_id": ben }))?;
        let page = super::super::contacts(tx, &desk.who, id, PageRequest::default())?;
        assert!(page.items.is_empty());
    }

    fn the_first_user_is_primary_and_the_next_takes_over(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        let mut users_of = Vec::new();
        for (seconds, name) in ["Kim", "Lee", "Max"].into_iter().enumerate() {
            let user = desk.user(tx, name)?.id;
            let row = assign_user(tx, &desk.later(seconds as i64), id, user)?;
            assert_eq!((row.is_primary, row.assigned_at), (seconds == 0, desk.later(seconds as i64).now));
            users_of.push(user);
        }
        let [kim, lee, max] = users_of[..] else { unreachable!("three were assigned") };
        assert_eq!(attempt(tx, |tx| assign_user(tx, &desk.who, id, lee)), "conflict");
        let primary = |db: &Db<'_>| -> Result<Vec<Uuid>> {
            let page = super::super::users(db, &desk.who, id, PageRequest::default())?;
            let primary = page.items.iter().filter(|row| row.is_primary);
            Ok(primary.map(|row| row.user.id).collect())
        };
        unassign_user(tx, &desk.who, id, kim)?;
        assert_eq!(primary(tx)?, [lee]);
        unassign_user(tx, &desk.who, id, max)?;
        assert_eq!(primary(tx)?, [lee]);
        assign_user(tx, &desk.later(9), id, kim)?;
        assert_eq!(primary(tx)?, [lee]);
        users::delete(tx, &desk.who, lee)?;
        assert_eq!(primary(tx)?, [kim]);
        assert_eq!(attempt(tx, |tx| unassign_user(tx, &desk.who, id, lee)), "not found: user");
        assert_eq!(attempt(tx, |tx| unassign_user(tx, &desk.who, id, max)), "not linked: user");
        unassign_user(tx, &desk.who, id, kim)?;
        assert!(primary(tx)?.is_empty());
    }

    fn the_people_of_an_opportunity_are_paged(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        let mut newest_first = Vec::new();
        for index in 0..5 {
            let contact = desk.contact(tx, &format!("Contact {index}"))?.id;
            add_contact(tx, &desk.who, id, contact)?;
            newest_first.insert(0, json!(contact));
        }
        let page = |body: Json| super::super::contacts(tx, &desk.who, id, given(body));
        let first = page(json!({ "limit": 2 }))?;
        let second = page(json!({ "limit": 2, "cursor": first.next_cursor }))?;
        let third = page(json!({ "limit": 2, "after": second.next_cursor }))?;
        let pages = [ids_of(&first), ids_of(&second), ids_of(&third)].concat();
        assert_eq!(pages, newest_first);
        assert!(first.has_more && second.has_more && !third.has_more);
        assert_eq!((first.prev_cursor, third.next_cursor), (None, None));
        let back = page(json!({ "limit": 2, "before": third.prev_cursor }))?;
        assert_eq!(ids_of(&back), ids_of(&second));
    }
}
