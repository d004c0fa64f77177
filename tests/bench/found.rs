//! What the measures have found, before anybody writes it down.

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The aims, in the order of the measures.
    pub aims: Vec<Aim>,
    /// All figures.
    pub tables: Vec<Table>,
    /// What goes into the table of the contestants.
    pub cells: Vec<Cell>,
    /// What the plot shows.
    pub bars: Vec<Bar>,
    /// What a reader has to know of all of it.
    pub notes: Vec<String>,
    /// Requests that ostler lost: there must be none.
    pub lost: Vec<String>,
}

/// One line of the design's table, and what came of it.
#[derive(Clone, Debug)]
pub struct Aim {
    pub what: String,
    pub aim: String,
    pub figure: String,
    pub met: bool,
}

/// Figures under a title.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub title: String,
    /// How it was measured, in a sentence.
    pub how: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A figure of a contestant.
#[derive(Clone, Debug)]
pub struct Cell {
    pub contestant: &'static str,
    pub column: &'static str,
    pub text: String,
}

/// A contestant's reload: what the plot shows of it.
#[derive(Clone, Debug)]
pub struct Bar {
    pub contestant: &'static str,
    /// The worst latency before it, in milliseconds.
    pub steady: f64,
    /// The worst latency while it was on.
    pub worst: f64,
    /// The requests that were lost, of so many.
    pub lost: usize,
    pub asked: usize,
}

impl Table {
    pub fn new(title: &str, how: &str, columns: &[&str]) -> Table {
        let columns = columns.iter().map(|&it| it.to_owned()).collect();
        Table { title: title.to_owned(), how: how.to_owned(), columns, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|&it| it.to_owned()).collect());
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_owned(); self.columns.len()];
        line(&self.columns) + &line(&rule) + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

impl Found {
    pub fn aim(&mut self, what: &str, aim: &str, figure: String, met: bool) {
        self.aims.push(Aim { what: what.to_owned(), aim: aim.to_owned(), figure, met });
    }

    pub fn cell(&mut self, contestant: &'static str, column: &'static str, text: String) {
        self.cells.push(Cell { contestant, column, text });
    }

    pub fn add(&mut self, more: Found) {
        self.aims.extend(more.aims);
        self.tables.extend(more.tables);
        self.cells.extend(more.cells);
        self.bars.extend(more.bars);
        self.notes.extend(more.notes);
        self.lost.extend(more.lost);
    }

    /// On standard output, while the rest is still measured.
    pub fn print(&self) {
        for table in &self.tables {
            println!("\n{}\n\n{}", table.title, table.markdown());
        }
        for Aim { what, aim, figure, met } in &self.aims {
            println!("  {}: {what}: {figure}, aim {aim}", if *met { "met" } else { "MISSED" });
        }
        self.lost.iter().for_each(|it| println!("  LOST: {it}"));
    }
}
