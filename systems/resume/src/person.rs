//! Whom the site is about. She is synthetic, and the pages say so; whoever wants a site of their own writes their own
//! life in here. Texts are HTML.

/// Her name.
pub(crate) const NAME: &str = "Ines Aldervik";
/// What she does, in a line.
pub(crate) const ROLE: &str = "Instrument maker for coasts";
/// What she does, in a sentence.
pub(crate) const LEDE: &str = "I build small, patient machines that measure water, wind and light, and the programs that make sense of them.";
/// What she says of herself.
pub(crate) const ABOUT: [&str; 2] = [
    "A coast is a bad place for electronics and a good one for humility. For fourteen years I have put sensors where \
     salt, ice and cormorants can reach them, and learned to prefer parts that can be repaired on a pier with cold hands.",
    "I work from the ground up: the mooring and the housing, the board and its firmware, the radio link, the database, \
     the chart on the wall. Most of it is small. All of it is meant to be running, unattended, ten winters from now.",
];

/// Something that she made.
#[derive(Debug)]
pub(crate) struct Project {
    /// Its part of the address, and its picture's name.
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
    pub(crate) year: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) summary: &'static str,
    /// Paragraphs.
    pub(crate) story: &'static [&'static str],
    /// What can be said in figures.
    pub(crate) facts: &'static [(&'static str, &'static str)],
    /// What the picture shows, for those who do not see it.
    pub(crate) alt: &'static str,
}

/// Her projects, newest first.
pub(crate) const PROJECTS: [Project; 6] = [
    Project {
        slug: "lantern-line",
        name: "Lantern Line",
        year: "2025",
        kind: "Network",
        summary: "Forty buoys along a fjord that pass readings from hand to hand, and shine when they have news.",
        story: &[
            "There is no mobile signal at the head of the fjord and no money for satellites, so the buoys talk to each \
             other. Each keeps a clock within a second of its neighbours, wakes with them for a moment every ten \
             minutes, and hands what it knows towards the mouth, where one mast has a cable.",
            "A buoy that is run down by a trawler is missed within the hour. The line closes over the gap by itself as \
             long as no three neighbours are lost at once, which in four winters has happened one time.",
            "The lamp was meant for maintenance. Since the fishermen asked, it glows for a second whenever a reading \
             passes, and on clear nights one can watch the news of the tide run down the fjord.",
        ],
        facts: &[
            ("Buoys", "40"),
            ("Length", "61 km"),
            ("Energy per reading", "0.9 J"),
            ("Readings that arrive", "99.7 %"),
        ],
        alt: "A line of buoys on dark water, their lamps reflected, under hills and a low moon",
    },
    Project {
        slug: "slack-water",
        name: "Slack Water",
        year: "2024",
        kind: "Instrument",
        summary: "A clock for harbour walls with a single hand, which shows how long until the water turns.",
        story: &[
            "People on a quay seldom ask how high the water is; they see it. They ask whether to wait. Slack Water \
             answers that and nothing else: the hand goes round once between one turn of the tide and the next, fast \
             at neaps, slow at springs.",
            "It computes the tide from thirty-seven constituents, corrects itself by a pressure gauge below the wall, \
             and shows by the colour of its rim how far wind and weather have pushed the water off its course.",
            "The movement is a stepper behind a brass plate. It makes one small tick every forty seconds, and I have \
             been told that it is good company.",
        ],
        facts: &[("Constituents", "37"), ("Error at the turn", "± 4 min"), ("Power", "18 mW"), ("Made", "9")],
        alt: "A round dial with one hand, its rim shaded from ebb to flood",
    },
    Project {
        slug: "paper-harbour",
        name: "Paper Harbour",
        year: "2022",
        kind: "Chart",
        summary: "An atlas of twelve small harbours, sounded by rowing boat and drawn with the people who use them.",
        story: &[
            "The official charts of small harbours are often older than their breakwaters. Over two summers we rowed \
             twelve of them on a grid, with a sounder on the transom and a child at the notebook, and reduced every \
             depth to the same datum.",
            "The contours are drawn by a program that I wrote for this: it knows that silt is smooth and rock is not, \
             and it leaves a blank where nobody has been instead of guessing. The blanks are the best part of the book.",
        ],
        facts: &[
            ("Harbours", "12"),
            ("Soundings", "48,210"),
            ("Scale", "1 : 2,500"),
            ("Printed", "400 copies"),
        ],
        alt: "Depth contours of a harbour, from pale shallows to dark deeps, with a breakwater",
    },
    Project {
        slug: "salt-ledger",
        name: "Salt Ledger",
        year: "2020",
        kind: "Program",
        summary: "A logbook for field stations that can be written in the rain and never forgets who changed what.",
        story: &[
            "Stations live for decades and their notebooks do not. Salt Ledger is a logbook of lines that are only ever \
             added: a wrong entry is struck out by a later one, as in ink, and both can be read for ever.",
            "It is one small file that any number of tablets may write while they are out of reach of each other. When \
             they meet, their lines are merged by time and author, and what two people saw differently stands side by \
             side until one of them gives way.",
            "It has outlived three tablets, two vendors and one station.",
        ],
        facts: &[
            ("Stations", "23"),
            ("Lines", "1.9 million"),
            ("Lost", "none"),
            ("Size of the program", "1.1 MB"),
        ],
        alt: "Rows of a ledger with marks of different length, one struck through in red",
    },
    Project {
        slug: "undertow",
        name: "Undertow",
        year: "2018",
        kind: "Installation",
        summary: "Sixteen organ pipes in a sea wall, opened and closed by the spectrum of the waves outside.",
        story: &[
            "A wave recorder splits the sea into sixteen bands, from the swell of far storms to the chop of the last \
             gust. Each band opens the valve of one pipe. What one hears is not a recording; it is what the water is \
             doing now, two hundred metres away.",
            "On calm days there is a single low note that one takes for a ship. During the storm of that November it \
             played every pipe for thirty hours, and the neighbours wrote to ask for a switch. There is a switch now.",
        ],
        facts: &[("Pipes", "16"), ("Longest", "4.8 m"), ("Bands", "0.04 to 0.5 Hz"), ("Open", "since 2018")],
        alt: "Sixteen tall pipes of different height above waves",
    },
    Project {
        slug: "quiet-mast",
        name: "Quiet Mast",
        year: "2016",
        kind: "Instrument",
        summary: "A wind sensor without moving parts, for places where ice would stop the ones that have them.",
        story: &[
            "Cups freeze. Quiet Mast has four ears instead: it measures how long sound takes between them in both \
             directions, and wind is the difference. Nothing turns, so nothing stops; a trickle of heat keeps the ears \
             open down to thirty below.",
            "It stood beside a good cup sensor for two years. They agreed within two per cent whenever the other one \
             was not frozen.",
        ],
        facts: &[
            ("Moving parts", "none"),
            ("Range", "0.2 to 60 m/s"),
            ("Coldest day", "−31 °C"),
            ("Masts", "14"),
        ],
        alt: "A wind rose of slim petals around a mast",
    },
];

/// A position that she held.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) years: &'static str,
    pub(crate) title: &'static str,
    pub(crate) place: &'static str,
    pub(crate) text: &'static str,
}

/// Where she worked, latest first.
pub(crate) const POSTS: [Post; 4] = [
    Post {
        years: "2021 – now",
        title: "Instrument maker",
        place: "Own workshop, Tarnsund",
        text: "Instruments and charts for harbours, research stations and two museums. One apprentice at a time.",
    },
    Post {
        years: "2016 – 2021",
        title: "Lead engineer, coastal stations",
        place: "Institute for Shallow Seas",
        text: "Ran twenty-three unattended stations; brought the share of hours with data from 81 to 98 per cent, mostly \
               by removing parts.",
    },
    Post {
        years: "2013 – 2016",
        title: "Firmware engineer",
        place: "Kelp &amp; Farrow Hydrographics",
        text: "Sounders and loggers that run for a year on four cells; the bootloader that has never left one dead.",
    },
    Post {
        years: "2011 – 2013",
        title: "Deckhand and technician",
        place: "Research vessel <i>Ternen</i>",
        text: "Moorings, winches, solder, and the night watch. Learned there what breaks first.",
    },
];

/// What she works with.
pub(crate) const PRACTICE: [(&str, &str); 5] = [
    ("Programs", "Rust and C for what runs alone; SQL and Python for what is looked at"),
    ("Electronics", "Boards for microwatts, acoustic fronts, housings for 200 m"),
    ("Data", "Harmonic analysis, spectra, logbooks that can be audited"),
    ("Workshop", "Lathe, potting, splicing, letterpress"),
    ("Languages", "Norwegian, English, German, some Faroese"),
];

/// Where she learned it.
pub(crate) const SCHOOLS: [(&str, &str, &str); 2] = [
    ("2009 – 2011", "MSc, physical oceanography", "University of Nordhavn"),
    ("2005 – 2009", "BEng, electronics", "Technical College of Marsfjord"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_addresses_of_their_own() {
        for (place, project) in PROJECTS.iter().enumerate() {
            assert!(
                project.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                project.slug
            );
            assert!(PROJECTS[..place].iter().all(|other| other.slug != project.slug), "{}", project.slug);
        }
    }
}
