//! The paths that a piece of Rust mentions, with `use` trees multiplied out. Comments and texts are not code, and a
//! macro's arguments are: so neither a search for text nor a syntax tree would do.

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

/// A path or a single name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its parts, joined by `::`; ends in `::*` for a glob.
    pub path: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What stands behind it.
    pub next: Next,
}

/// What stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// `!`, as in a call of a macro.
    Bang,
    /// Parentheses, as in a call.
    Parentheses,
    /// Anything else.
    Other,
}

/// Reads Rust.
///
/// # Errors
/// The text is not Rust.
pub fn scan(text: &str) -> Result<Vec<Name>, LexError> {
    let mut names = Vec::new();
    walk(text.parse()?, "", &mut names);
    Ok(names)
}

fn walk(stream: TokenStream, prefix: &str, names: &mut Vec<Name>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(first) => {
                let lifetime = at > 0 && is_punct(tokens.get(at - 1), '\'');
                if lifetime {
                    at += 1;
                    continue;
                }
                let line = first.span().start().line;
                let mut path = format!("{prefix}{first}");
                at += 1;
                while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(part)) => {
                            path = format!("{path}::{part}");
                            at += 3;
                        }
                        Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                            path.push_str("::*");
                            at += 3;
                        }
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            walk(group.stream(), &format!("{path}::"), names);
                            at += 3;
                            // The tree's stem was not mentioned for its own sake.
                            path.clear();
                        }
                        _ => break,
                    }
                }
                if !path.is_empty() {
                    names.push(Name { path, line, next: next(&tokens[at..]) });
                }
            }
            TokenTree::Group(group) => {
                walk(group.stream(), "", names);
                at += 1;
            }
            TokenTree::Punct(star) if star.as_char() == '*' && !prefix.is_empty() => {
                names.push(Name { path: format!("{prefix}*"), line: star.span().start().line, next: Next::Other });
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn next(rest: &[TokenTree]) -> Next {
    match rest.first() {
        // `name != other` is a comparison.
        Some(TokenTree::Punct(bang)) if bang.as_char() == '!' && !is_punct(rest.get(1), '=') => Next::Bang,
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Next::Parentheses,
        _ => Next::Other,
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}
