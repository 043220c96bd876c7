//! Made-up records: the same ones in every run, from small lists of words, so
//! that a search finds very much, very little or nothing.

pub(crate) mod terms;

use serde_json::{Value, json};

const THINGS: &[&str] = &[
    "Solar",
    "Roof",
    "Kitchen",
    "Bathroom",
    "Garden",
    "Fence",
    "Garage",
    "Heating",
    "Window",
    "Driveway",
    "Balcony",
    "Staircase",
    "Office",
    "Warehouse",
    "Workshop",
    "Shopfront",
    "Battery",
    "Lighting",
    "Drainage",
    "Insulation",
    "Pergola",
    "Terrace",
    "Chimney",
    "Cellar",
];
const WORKS: &[&str] = &[
    "installation",
    "repair",
    "extension",
    "renewal",
    "inspection",
    "maintenance",
    "design",
    "cleaning",
    "painting",
    "upgrade",
    "survey",
    "removal",
];
const PLACES: &[&str] = &[
    "Albury",
    "Ballarat",
    "Bendigo",
    "Broome",
    "Bunbury",
    "Cairns",
    "Dubbo",
    "Echuca",
    "Geelong",
    "Hobart",
    "Kiama",
    "Launceston",
    "Mackay",
    "Mildura",
    "Newcastle",
    "Orange",
    "Perth",
    "Tamworth",
    "Toowoomba",
    "Wagga",
    "Warrnambool",
    "Wodonga",
];
/// One opportunity in [`RARITY`] has one of these in its name.
const RARE: &[&str] = &[
    "Observatory",
    "Velodrome",
    "Lighthouse",
    "Aqueduct",
    "Zeppelin",
    "Planetarium",
    "Windmill",
    "Carousel",
    "Gazebo",
    "Funicular",
    "Orchestra",
    "Quarry",
    "Vineyard",
    "Jetty",
    "Monastery",
    "Hydropower",
];
const RARITY: u64 = 1_000;
const FIRST_NAMES: &[&str] = &[
    "Ada", "Alan", "Amara", "Boris", "Chloe", "Dinesh", "Edith", "Farid", "Grace", "Hana", "Ivan",
    "Jamila", "Kofi", "Leila", "Mateo", "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Sven",
    "Tomas", "Ursula", "Viktor", "Wanda", "Yusuf", "Zoe",
];
const LAST_NAMES: &[&str] = &[
    "Abbott",
    "Baptiste",
    "Castellano",
    "Dvorak",
    "Eriksen",
    "Fitzgerald",
    "Gupta",
    "Hoffmann",
    "Ibrahim",
    "Jovanovic",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okonkwo",
    "Petrov",
    "Quigley",
    "Romano",
    "Schwartz",
    "Tanaka",
    "Ueda",
    "Vasquez",
    "Whitlock",
    "Yamamoto",
    "Zhang",
];
const TRADES: &[&str] = &[
    "Builders",
    "Plumbing",
    "Electrics",
    "Timber",
    "Glass",
    "Holdings",
    "Logistics",
    "Farms",
    "Bakery",
    "Brewing",
    "Motors",
    "Textiles",
    "Pharmacy",
    "Books",
];
const INDUSTRIES: &[&str] = &[
    "Construction",
    "Retail",
    "Hospitality",
    "Agriculture",
    "Health",
];
const SOURCES: &[&str] = &["website", "referral", "phone", "trade fair", "partner"];
const TAGS: &[&str] = &[
    "urgent", "vip", "new", "repeat", "council", "warranty", "summer",
];

/// Chance that is the same every time: SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for the `number`th of what is made up for this `purpose`.
    pub(crate) fn new(purpose: &str, number: u64) -> Self {
        let letters = purpose.bytes().map(u64::from);
        let seed = letters.fold(number, |seed, letter| Dice(seed ^ letter).next());
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of `list`.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// A company.
pub(crate) fn company(number: u64) -> Value {
    let mut dice = Dice::new("company", number);
    let (owner, trade) = (dice.pick(LAST_NAMES), dice.pick(TRADES));
    let domain = format!("{}{number}.example", owner.to_lowercase());
    json!({
        "name": format!("{owner} {trade} {}", dice.pick(PLACES)),
        "email": format!("office@{domain}"),
        "phone": format!("+612{:08}", 50_000_000 + number),
        "website": format!("https://{domain}"),
        "industry": dice.pick(INDUSTRIES),
    })
}

/// A contact.
pub(crate) fn contact(number: u64) -> Value {
    let mut dice = Dice::new("contact", number);
    let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
    let address = format!("{first}.{last}{number}@mail.example").to_lowercase();
    json!({
        "first_name": first,
        "last_name": last,
        "email": address,
        "phone": format!("+614{:08}", 10_000_000 + number),
        "city": dice.pick(PLACES),
        "source": dice.pick(SOURCES),
    })
}

/// What an opportunity can refer to.
pub(crate) struct Surroundings<'a> {
    /// The contacts, one of which it has.
    pub(crate) contacts: &'a [String],
    /// The companies, one of which it has.
    pub(crate) companies: &'a [String],
    /// For each pipeline its stages, of which the last two are won and lost.
    pub(crate) pipelines: &'a [Vec<String>],
}

/// An opportunity in its surroundings; a fifth of them is won or lost.
pub(crate) fn opportunity(number: u64, around: &Surroundings<'_>) -> Value {
    let mut record = plain_opportunity(number);
    record["contact_id"] = json!(one_of(around.contacts, number / 3));
    record["customer_id"] = json!(one_of(around.companies, number / 10));
    let mut dice = Dice::new("surroundings", number);
    let pipeline = &around.pipelines[dice.below(around.pipelines.len() as u64) as usize];
    let open = pipeline.len() as u64 - 2;
    let stage = match dice.below(10) {
        0 => open,
        1 => open + 1,
        _ => dice.below(open),
    };
    record["stage_id"] = json!(pipeline[stage as usize]);
    record
}

/// An opportunity that refers to nothing.
pub(crate) fn plain_opportunity(number: u64) -> Value {
    let mut dice = Dice::new("opportunity", number);
    json!({
        "name": opportunity_name(&mut dice),
        "value": 500 + dice.below(250_000),
        "lead_source": dice.pick(SOURCES),
        "expected_close_date": format!("2027-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28)),
        "tags": [dice.pick(TAGS), dice.pick(TAGS)],
    })
}

fn one_of(ids: &[String], number: u64) -> Option<&String> {
    ids.get((number % ids.len().max(1) as u64) as usize)
}

fn opportunity_name(dice: &mut Dice) -> String {
    let thing = match dice.below(RARITY) {
        0 => dice.pick(RARE),
        _ => dice.pick(THINGS),
    };
    format!("{thing} {} {}", dice.pick(WORKS), dice.pick(PLACES))
}
