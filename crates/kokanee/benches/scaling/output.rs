//! The destination of pictures and tables: the target folder, or the documentation.

use std::path::{Path, PathBuf};

use kokanee_formats::write_atomically;

/// The page with the tables.
const PAGE: &str = "docs/performance.md";
/// The folder of its pictures, relative to the page.
const PICTURES: &str = "curves";

/// Writes measurements to their destination.
pub(crate) struct Output {
    pictures: PathBuf,
    /// The page whose sections are replaced; none if only pictures are wanted.
    page: Option<PathBuf>,
}

impl Output {
    /// The documentation's folders if `docs`, otherwise `scaling` in the target folder.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub(crate) fn new(docs: bool) -> Result<Output, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (pictures, page) = if docs {
            (root.join("docs").join(PICTURES), Some(root.join(PAGE)))
        } else {
            (root.join("target/scaling"), None)
        };
        std::fs::create_dir_all(&pictures).map_err(|error| format!("{}: {error}", pictures.display()))?;
        Ok(Output { pictures, page })
    }

    /// Writes a picture; returns its path relative to the page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn picture(&self, name: &str, svg: &str) -> Result<String, String> {
        write(&self.pictures.join(format!("{name}.svg")), svg)?;
        Ok(format!("{PICTURES}/{name}.svg"))
    }

    /// Replaces the text between `<!-- scaling: NAME -->` and `<!-- end -->` in the page.
    ///
    /// # Errors
    /// When the page cannot be read or written, or has no such marks.
    pub(crate) fn section(&self, name: &str, text: &str) -> Result<(), String> {
        let Some(page) = &self.page else { return Ok(()) };
        let (begin, end) = (format!("<!-- scaling: {name} -->\n"), "<!-- end -->");
        let old = std::fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
        let parts = old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
        let (before, after) = parts.ok_or_else(|| {
            format!(
                "{} has no place for {name}: a line {} and, below it, {end}",
                page.display(),
                begin.trim()
            )
        })?;
        write(page, &format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    write_atomically(path, text.as_bytes()).map(|_| ()).map_err(|error| error.to_string())
}
