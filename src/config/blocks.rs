//! `.if`, `.elif`, `.else`, `.endif`: which lines of a text count (configuration §2.4).

use super::diagnostics::Spot;

/// Blocks inside each other, as in HAProxy.
const DEPTH_MAX: usize = 64;

/// What stands at the beginning of a directive's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    If,
    Elif,
    Else,
    Endif,
}

impl Directive {
    /// The directive that a word is, if any.
    pub fn of(word: &[u8]) -> Option<Self> {
        match word {
            b".if" => Some(Self::If),
            b".elif" => Some(Self::Elif),
            b".else" => Some(Self::Else),
            b".endif" => Some(Self::Endif),
            _ => None,
        }
    }
}

/// The blocks around the current line.
#[derive(Default)]
pub(crate) struct Blocks {
    stack: Vec<Block>,
    /// Blocks that were opened beyond the limit.
    too_deep: usize,
}

struct Block {
    opened: Spot,
    branch: Branch,
    had_else: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// Its lines count.
    Taken,
    /// They do not; a later branch may.
    NotYet,
    /// They do not, nor do those of later branches.
    Over,
}

impl Blocks {
    /// Whether the current lines do not count.
    pub fn are_skipping(&self) -> bool {
        self.too_deep > 0 || self.stack.last().is_some_and(|block| block.branch != Branch::Taken)
    }

    /// Whether it depends on this directive's condition which lines count.
    pub fn ask(&self, directive: Directive) -> bool {
        match directive {
            Directive::If => !self.are_skipping(),
            Directive::Elif => {
                self.too_deep == 0
                    && self
                        .stack
                        .last()
                        .is_some_and(|block| !block.had_else && block.branch == Branch::NotYet)
            }
            Directive::Else | Directive::Endif => false,
        }
    }

    /// Takes a directive. `holds`: its condition, where that was asked for; `None` = it is faulty, or has none.
    ///
    /// # Errors
    /// It does not belong here.
    pub fn take(&mut self, directive: Directive, holds: Option<bool>, spot: Spot) -> Result<(), String> {
        let was_asked = self.ask(directive);
        let branch = match holds {
            Some(true) if was_asked => Branch::Taken,
            Some(false) if was_asked => Branch::NotYet,
            // The reason was told; lines of which nobody knows whether they count are left alone.
            _ => Branch::Over,
        };
        if directive == Directive::If {
            if self.stack.len() == DEPTH_MAX {
                self.too_deep += 1;
                return match self.too_deep {
                    1 => Err(format!("at most {DEPTH_MAX} `.if` can stand inside each other")),
                    _ => Ok(()),
                };
            }
            self.stack.push(Block { opened: spot, branch, had_else: false });
            return Ok(());
        }
        if self.too_deep > 0 {
            self.too_deep -= usize::from(directive == Directive::Endif);
            return Ok(());
        }
        let Some(block) = self.stack.last_mut() else {
            return Err("there is no `.if` before this".to_owned());
        };
        match directive {
            Directive::Endif => {
                self.stack.pop();
            }
            _ if block.had_else => return Err("`.else` was the last branch of its `.if`".to_owned()),
            Directive::Else => {
                block.had_else = true;
                block.branch = if block.branch == Branch::NotYet { Branch::Taken } else { Branch::Over };
            }
            _ => block.branch = branch,
        }
        Ok(())
    }

    /// A file has ended: the blocks still open.
    pub fn end(&mut self) -> impl Iterator<Item = Spot> {
        self.too_deep = 0;
        std::mem::take(&mut self.stack).into_iter().map(|block| block.opened)
    }
}
