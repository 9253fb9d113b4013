//! What the pictures of benches have in common: an SVG without script that is readable on white and on black, with a
//! heading, and with the same in words for those who cannot see it.

/// What everything looks like, in both schemes.
const STYLE: &str = "\
:root{--paper:#fff;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--own:#0b7285;--other:#8a6d3b}\
@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--own:#3bc9db;\
--other:#d9a54a}}\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:var(--ink)}\
.paper{fill:var(--paper)}.title{font-size:17px;font-weight:600}.name{font-size:13.5px;font-weight:600}\
.soft{font-size:11.5px;fill:var(--soft)}.end{text-anchor:end}.middle{text-anchor:middle}\
.grid{stroke:var(--line);stroke-width:1;fill:none}\
.bound{stroke:var(--soft);stroke-width:1.25;stroke-dasharray:4 3;fill:none}\
.own{--colour:var(--own)}.other{--colour:var(--other)}\
.area{fill:var(--colour);fill-opacity:.22}.line{fill:none;stroke:var(--colour);stroke-width:2;stroke-linejoin:round}";

/// The room at the left and the right of what is drawn, and above it, where the heading stands.
pub(crate) const MARGIN: (f64, f64) = (16.0, 62.0);

/// What a picture is drawn on.
pub(crate) struct Sheet<'a> {
    /// In pixels.
    pub(crate) size: (f64, f64),
    /// What it shows, for those who cannot see it.
    pub(crate) title: &'a str,
    /// What comes out of it, for the same.
    pub(crate) told: &'a str,
    pub(crate) heading: &'a str,
    /// Which mark says what, below the heading.
    pub(crate) legend: &'a str,
    /// The looks that only this picture needs.
    pub(crate) style: &'a str,
}

impl Sheet<'_> {
    /// The whole picture.
    pub(crate) fn around(&self, drawn: &str) -> String {
        let Self { size: (width, height), title, told, heading, legend, style } = self;
        let x = MARGIN.0 + 4.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-labelledby=\"t d\"><title id=\"t\">{title}</title><desc id=\"d\">{told}</desc>\
             <style>{STYLE}{style}</style><rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\
             {}{}{drawn}</svg>\n",
            text("title", (x, 28.0), heading),
            text("soft", (x, 48.0), legend)
        )
    }
}

/// The part of a picture that figures are drawn in.
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// How far from the left a share of the width is; what is beyond stays at the edge.
    pub(crate) fn across(&self, share: f64) -> f64 {
        self.x + self.width * share.clamp(0.0, 1.0)
    }

    /// How far from the top a share of the height is, counted from the bottom; what is beyond stays at the edge.
    pub(crate) fn up(&self, share: f64) -> f64 {
        self.y + self.height * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// Words with their baseline at a point.
pub(crate) fn text(class: &str, (x, y): (f64, f64), words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>")
}

/// A line from the left to the right.
pub(crate) fn level(class: &str, (left, right): (f64, f64), y: f64) -> String {
    format!("<path class=\"{class}\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>")
}

/// A line from the top to the bottom.
pub(crate) fn upright(class: &str, x: f64, (top, bottom): (f64, f64)) -> String {
    format!("<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_an_area_stays_at_its_edge() {
        let area = Area { x: 10.0, y: 20.0, width: 100.0, height: 50.0 };
        let shares = [-1.0, 0.0, 0.5, 2.0];
        assert_eq!(shares.map(|share| area.across(share) as u32), [10, 10, 60, 110]);
        assert_eq!(shares.map(|share| area.up(share) as u32), [70, 70, 45, 20]);
    }

    #[test]
    fn a_picture_says_in_words_what_it_shows() {
        let sheet = Sheet {
            size: (40.0, 30.0),
            title: "what",
            told: "so much",
            heading: "What",
            legend: "dots: some",
            style: ".dot{r:1}",
        };
        let svg = sheet.around("<g/>");
        assert!(svg.contains("<title id=\"t\">what</title><desc id=\"d\">so much</desc>"), "{svg}");
        assert!(svg.contains("aria-labelledby=\"t d\"") && svg.ends_with("<g/></svg>\n"), "{svg}");
    }
}
