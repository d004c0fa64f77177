//! The arguments of `ostler import`.

use std::path::PathBuf;

use clap::Args;

/// What to import, and what no file says.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Import {
    /// A .service unit (with its drop-ins and .socket), Procfile, supervisord's file, start script; a gunicorn.conf.py
    /// beside it. Of an image: its Dockerfile, a compose file, or what `skopeo inspect --config docker://REF >config.json` has written; the
    /// scripts that it starts beside it. `-` is standard input: `systemctl cat shop | ostler import -`
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Write it to apps.d/NAME.toml beside the main file, where no file of that name is
    #[arg(long)]
    pub(in crate::cli) write: bool,
    /// With --write: also where there is one
    #[arg(long, requires = "write")]
    pub(in crate::cli) force: bool,
    /// The main file
    #[arg(long, value_name = "FILE", default_value = "/etc/ostler/ostler.toml")]
    pub(in crate::cli) config: PathBuf,
    /// The app's name; of several programs in one file, the one to import
    #[arg(long)]
    pub(in crate::cli) name: Option<String>,
    /// The app, `shop.wsgi:application`
    #[arg(long, value_name = "MODULE:ATTRIBUTE")]
    pub(in crate::cli) app: Option<String>,
    /// The app's interpreter, `/srv/shop/venv/bin/python`
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) python: Option<String>,
    /// The image's name in its registry, `registry.example.com/shop:43`
    #[arg(long, value_name = "REF")]
    pub(in crate::cli) image: Option<String>,
    /// Of several services in a compose file, the one to import
    #[arg(long)]
    pub(in crate::cli) service: Option<String>,
    /// The release's folder
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) directory: Option<String>,
    /// Whom the workers run as
    #[arg(long)]
    pub(in crate::cli) user: Option<String>,
    /// Where the app listens, instead of where it did; may be given again
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) listen: Vec<String>,
    /// The value of a variable that the files use and do not set, `PORT=8000`; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(in crate::cli) set: Vec<(String, String)>,
}

/// `PORT=8000`, also written `$PORT=8000`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.strip_prefix('$').unwrap_or(name).to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
