//! Words as the `standard` analyzer cuts them from the bench's corpora (UAX #29 without what only other
//! scripts need), in lower case: so that both sides count the same hits.
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

#[derive(Clone, Default)]
pub struct Standard {
    token: Token,
}

pub struct Stream<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Standard {
    type TokenStream<'a> = Stream<'a>;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        Stream { text, at: 0, token: &mut self.token }
    }
}

/// Characters that hold words together and are none by themselves (ExtendNumLet): the low line and its like,
/// and the narrow no-break space.
fn is_connector(c: char) -> bool {
    matches!(c, '_' | '\u{202f}' | '\u{203f}' | '\u{2040}' | '\u{2054}' | '\u{fe33}' | '\u{fe34}' | '\u{fe4d}'..='\u{fe4f}' | '\u{ff3f}')
}

fn in_word(c: char) -> bool {
    is_connector(c) || is_emoji(c) || if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphabetic() }
}

/// Ideographs and hiragana are words of one character.
fn is_alone(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// Pictures of the blocks from Miscellaneous Symbols and Pictographs to Extended-A: words of their own with
/// what changes or joins them.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f300}'..='\u{1faff}')
}

/// Where an emoji at the start of a word ends.
fn emoji_end(word: &str) -> usize {
    let mut joined = true;
    for (i, c) in word.char_indices() {
        let extends = matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
        if !extends && !(joined && is_emoji(c)) {
            return i;
        }
        joined = c == '\u{200d}';
    }
    word.len()
}

/// May c stand between two characters of a word?
fn joins(before: char, c: char, after: char) -> bool {
    match c {
        '\'' | '.' | '\u{2019}' => {
            before.is_ascii_digit() && after.is_ascii_digit() || before.is_alphabetic() && after.is_alphabetic()
        }
        ':' => before.is_alphabetic() && after.is_alphabetic(),
        ',' | ';' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some(start) = rest.find(in_word) else { return false };
        let word = &rest[start..];
        let mut end = word.len();
        let mut before = '\0';
        let mut chars = word.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            if is_emoji(c) {
                end = if i == 0 { emoji_end(word) } else { i };
                break;
            }
            if is_alone(c) {
                end = if i == 0 { c.len_utf8() } else { i };
                break;
            }
            if !in_word(c) && !chars.peek().is_some_and(|&(_, after)| joins(before, c, after)) {
                end = i;
                break;
            }
            before = c;
        }
        let word = &word[..end];
        if word.chars().all(is_connector) {
            self.at += start + end;
            return self.advance();
        }
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = self.at + start;
        self.token.offset_to = self.at + start + end;
        self.at = self.token.offset_to;
        self.token.text.clear();
        if word.is_ascii() {
            self.token.text.push_str(word);
            self.token.text.make_ascii_lowercase();
        } else {
            self.token.text.extend(word.chars().flat_map(char::to_lowercase));
        }
        true
    }
    fn token(&self) -> &Token {
        self.token
    }
    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
