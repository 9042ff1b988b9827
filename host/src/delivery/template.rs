//! A connector's own title and text: templates, compiled once, rendered into parts that say whose words they are.
//!
//! What the author wrote is markup and stands as written. Whatever comes out of an expression is text: it came from an event, and the plugin
//! escapes it. The line between the two is drawn by two code points that no text may hold (Unicode's noncharacters U+FDD0 and U+FDD1): the
//! formatter puts them around each value and removes them from within, so no filter and no event can move the line.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::variables::{self, Variables};

/// Around a value. Noncharacters are never text.
const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';

/// The largest source of a template, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024;

/// What rendering may cost: about so many steps, or 64 times as many bytes.
const FUEL: u64 = 50_000;

/// The largest rendered text, in bytes; no chat message is longer.
const MAX_OUTPUT: usize = 64 * 1024;

/// The one template of each environment.
const NAME: &str = "template";

/// A piece of a rendered template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The author's words: stand as written.
    Markup(String),
    /// From an event: escaped by the plugin.
    Text(String),
}

/// What is wrong with a template, or with rendering it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("line {line}: {text}")]
    Syntax {
        /// Of the template, from 1.
        line: usize,
        /// What is wrong there.
        text: String,
    },
    /// It asks for something that there is not.
    #[error("line {line}: there is no variable `{name}`; {hint}")]
    UnknownVariable {
        /// Of the template, from 1.
        line: usize,
        /// What it asks for.
        name: String,
        /// What it may have meant.
        hint: String,
    },
    /// Its source is too long.
    #[error("a template has at most {MAX_SOURCE} bytes")]
    TooLong,
    /// It holds the code points that mark values.
    #[error("a template may not hold the noncharacters U+FDD0 and U+FDD1")]
    Noncharacter,
    /// It did too much.
    #[error("the template does too much work, or writes more than {MAX_OUTPUT} bytes")]
    TooMuchWork,
    /// It failed: an unknown filter, an operation that its values do not know.
    #[error("line {line}: {text}")]
    Render {
        /// Of the template, from 1.
        line: usize,
        /// What failed.
        text: String,
    },
}

/// A template, compiled. Two connectors with the same source share one.
pub struct Template {
    environment: Environment<'static>,
    source: Box<str>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

/// Templates in use, by source: ten thousand connectors with one look hold it once.
static SHARED: LazyLock<Mutex<HashMap<Box<str>, Weak<Template>>>> = LazyLock::new(Mutex::default);

impl Template {
    /// Compiles and checks it: syntax, and the names of variables, filters and functions.
    pub fn shared(source: &str) -> Result<Arc<Template>, TemplateError> {
        let known = |shared: &HashMap<Box<str>, Weak<Template>>| shared.get(source).and_then(Weak::upgrade);
        if let Some(template) = known(&SHARED.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(template);
        }
        let template = Arc::new(Template::compile(source)?);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.len() == shared.capacity() {
            shared.retain(|_, template| template.strong_count() > 0);
        }
        shared.insert(source.into(), Arc::downgrade(&template));
        Ok(template)
    }

    fn compile(source: &str) -> Result<Template, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::TooLong);
        }
        if source.contains([OPEN, CLOSE]) {
            return Err(TemplateError::Noncharacter);
        }
        let mut environment = BASE.clone();
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| failed(&error))?;
        let template = Template { environment, source: source.into() };
        template.check_variables()?;
        // Filters are looked up while rendering: an event that has everything and one that has nothing make most of them run.
        template.render(variables::sample_full())?;
        template.render(variables::sample_bare())?;
        Ok(template)
    }

    fn check_variables(&self) -> Result<(), TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let globals: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !variables::is_known(name) && !globals.contains(&name.as_str()))
            .collect();
        unknown.sort();
        let Some(name) = unknown.into_iter().next() else { return Ok(()) };
        let line = self.source.lines().position(|line| line.contains(&name)).unwrap_or_default() + 1;
        Err(TemplateError::UnknownVariable { line, hint: variables::hint(&name), name })
    }

    /// What the author wrote.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders it for one event. Neighbouring parts are of different kinds, none is empty.
    pub fn render(&self, variables: Variables) -> Result<Vec<Part>, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let marked = template.render(Value::from_object(variables)).map_err(|error| failed(&error))?;
        if marked.len() > MAX_OUTPUT {
            return Err(TemplateError::TooMuchWork);
        }
        Ok(split(&marked))
    }
}

/// What all templates have in common; a clone shares the filters.
static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(write_marked);
    environment
});

/// Writes the value of an expression, marked as text. `safe` changes nothing: only the author's own words are markup.
fn write_marked(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    let mut write = |text: &str| out.write_str(text).map_err(|_| Error::new(ErrorKind::WriteFailure, "the output is closed"));
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    let text = value.to_string();
    write(OPEN.encode_utf8(&mut [0; 4]))?;
    // What was captured by a block carries marks of its own: within a value all is text.
    for piece in text.split([OPEN, CLOSE]) {
        write(piece)?;
    }
    write(CLOSE.encode_utf8(&mut [0; 4]))
}

fn split(marked: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, piece) in marked.split([OPEN, CLOSE]).enumerate() {
        // Marks alternate: author, value, author, …
        match (index % 2 == 1, piece, parts.last_mut()) {
            (_, "", _) => {}
            (true, text, Some(Part::Text(before))) => before.push_str(text),
            (false, text, Some(Part::Markup(before))) => before.push_str(text),
            (true, text, _) => parts.push(Part::Text(text.to_owned())),
            (false, text, _) => parts.push(Part::Markup(text.to_owned())),
        }
    }
    parts
}

fn failed(error: &Error) -> TemplateError {
    let line = error.line().unwrap_or(1);
    let text = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.kind() {
        ErrorKind::OutOfFuel => TemplateError::TooMuchWork,
        ErrorKind::SyntaxError | ErrorKind::BadEscape => TemplateError::Syntax { line, text },
        _ => TemplateError::Render { line, text },
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
