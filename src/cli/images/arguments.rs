//! What a person types for images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Reference;

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(in crate::cli) struct Images {
    /// Only this app
    pub(in crate::cli) app: Option<String>,
    #[command(subcommand)]
    pub(in crate::cli) verb: Option<ImagesVerb>,
    /// Ask no ostlerd which apps there are: go by this main file and its apps.d
    #[arg(long, global = true, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum ImagesVerb {
    /// Bring an image into a release folder of an app, and print the folder; nothing changes for clients
    ///
    /// If the link that the app's `directory` leads through does not exist yet, it is made and leads to the folder. Exits 64
    /// where the registry has no such image, 75 for what may pass, 77 where it wants another password.
    Pull {
        /// The app
        app: String,
        /// The image with its registry: registry.example.com/shop:43, or …/shop@sha256:…
        #[arg(value_name = "REF")]
        reference: Reference,
    },
    /// Remove all image releases but the last five, and those that are or were in use; says what that has freed
    Prune {
        /// Only this app
        app: Option<String>,
    },
}
