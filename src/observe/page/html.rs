//! HTML in the making: only what stands in this program's source gets into it as it is.

use crate::config::visible;

/// A text of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Somebody's words, in a text or in a quoted attribute: nothing of them is markup.
    pub(super) fn text(&mut self, words: &str) -> &mut Html {
        for c in visible(words).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A whole number.
    pub(super) fn number(&mut self, number: usize) -> &mut Html {
        self.0.push_str(&number.to_string());
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_markup() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("\" onload='x' <script>alert(1)</script> & \r\0").raw("\">");
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot; onload=&#39;x&#39; &lt;script&gt;alert(1)&lt;/script&gt; &amp; \u{fffd}\u{fffd}\">"
        );
    }
}
