//! What people look at: the page about a run, pictures of prototypes and of images beside their aligned prototypes, scores
//! over seeds.

mod canvas;
mod chart;
mod events;
mod evolution;
mod gallery;
mod outcome;
mod page;
mod picture;
mod pictures;
mod recall;
mod table;
mod variances;

pub use events::Events;
pub use evolution::Evolution;
pub use gallery::{Band, Gallery};
pub use outcome::{MEASURES, Outcome, Summary, about, configuration};
pub use page::{REPORT, Report};
pub use pictures::{contact_sheet, together, write_pictures};
pub use recall::{illustrate, recall};
