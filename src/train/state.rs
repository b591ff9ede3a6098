//! The whole state of a run on disk, from which it goes on as if it had never stopped.

use super::checkpoint::write_whole;
use super::config::Config;
use super::course::{CHANGED, Course, Snapshot};
use super::error::TrainError;
use super::run_folder::{RunFolder, TABLES};
use super::tensor_file::serialized;
use super::trainer::Trainer;
use crate::data::ImageSet;
use crate::tape::Engine;
use flate2::Crc;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// File of the state in a run folder.
pub const STATE: &str = "state.safetensors";
/// Version of the format, in the file's metadata.
const FORMAT: &str = "1";
/// Assignments of the last evaluation.
const PREVIOUS: &str = "previous";

/// What is known of a run besides its tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Its configuration in TOML, which gives back every number to the bit.
    pub config: String,
    /// The device that saved it, as far as it decides about bits.
    pub device: String,
    /// Check sum of images and labels.
    pub images: u32,
    /// Check sum of names, shapes and places of the tensors.
    pub layout: u32,
    /// When the run began.
    pub started: String,
    /// Seconds of training and evaluation so far.
    pub seconds: f64,
    /// How often it was resumed.
    pub resumed: usize,
}

/// A run that can go on.
#[derive(Clone, Debug)]
pub struct RunState {
    /// What is known of it.
    pub about: About,
    /// Its tensors and where it is.
    pub snapshot: Snapshot,
    /// Assignments of the last evaluation.
    pub previous: Option<Vec<u32>>,
    /// Names and contents of the tables of the run: those on the disk may have more lines, or fewer after a power failure.
    pub tables: Vec<(&'static str, Vec<u8>)>,
}

/// The metadata of the file.
#[derive(Serialize, Deserialize)]
struct Header {
    about: About,
    course: Course,
}

/// The time as run.json has it (RFC 3339).
pub fn now() -> String {
    time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

impl About {
    /// A run that begins now.
    pub fn new(config: &Config, set: &ImageSet) -> Self {
        About {
            config: config.to_toml(),
            device: String::new(),
            images: images_sum(set),
            layout: 0,
            started: now(),
            seconds: 0.0,
            resumed: 0,
        }
    }
}

impl RunState {
    /// Takes it from a trainer and its folder. `about.device` and `about.layout` are filled in.
    pub fn take(mut about: About, trainer: &mut Trainer, folder: &RunFolder) -> Result<Self, TrainError> {
        about.device = identity(trainer.engine());
        about.layout = sum([trainer.layout().as_bytes()]);
        let previous = folder.previous().map(<[u32]>::to_vec);
        Ok(RunState { about, snapshot: trainer.snapshot()?, previous, tables: folder.tables()? })
    }

    /// Writes it so that a crash at any moment leaves the old file or the new one, whole.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let failed = |e: &dyn std::fmt::Display| damaged(path, e.to_string());
        let header = Header { about: self.about.clone(), course: self.snapshot.course.clone() };
        let header = serde_json::to_string(&header).map_err(|e| failed(&e))?;
        let mut tensors: Vec<(String, Dtype, &[u8])> = Vec::new();
        for (arena, bytes) in &self.snapshot.arenas {
            tensors.push((format!("{arena:?}"), Dtype::U8, bytes));
        }
        for (name, bytes) in &self.tables {
            tensors.push((name.to_string(), Dtype::U8, bytes));
        }
        if let Some(previous) = &self.previous {
            tensors.push((PREVIOUS.into(), Dtype::U32, bytemuck::cast_slice(previous)));
        }
        let check = sum([header.as_bytes()].into_iter().chain(tensors.iter().map(|t| t.2)));
        let mut views = Vec::new();
        for (name, dtype, bytes) in &tensors {
            let len = if *dtype == Dtype::U8 { bytes.len() } else { bytes.len() / 4 };
            views.push((name, TensorView::new(*dtype, vec![len], bytes).map_err(|e| failed(&e))?));
        }
        let metadata = [("format", FORMAT.into()), ("crc32", check.to_string()), ("run", header)];
        write_whole(path, &serialized(views, &metadata).map_err(|e| failed(&e))?)
    }

    /// Reads and checks it; `None` if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, TrainError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TrainError::File { action: "read", path: path.to_path_buf(), source }),
        };
        let failed = |e: &dyn std::fmt::Display| damaged(path, e.to_string());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| failed(&e))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let text = |key: &str| metadata.get(key).map(String::as_str);
        if text("format") != Some(FORMAT) {
            return Err(failed(&"not the state of a run of this version of proteus"));
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| failed(&e))?;
        let header = text("run").unwrap_or_default();
        let mut check = vec![header.as_bytes()];
        let mut arenas = Vec::new();
        for arena in CHANGED {
            let name = format!("{arena:?}");
            let view = file.tensor(&name).map_err(|_| failed(&format!("'{name}' is missing")))?;
            check.push(view.data());
            arenas.push((arena, view.data().to_vec()));
        }
        let mut tables = Vec::new();
        for name in TABLES {
            if let Ok(view) = file.tensor(name) {
                check.push(view.data());
                tables.push((name, view.data().to_vec()));
            }
        }
        let previous = file.tensor(PREVIOUS).ok();
        check.extend(previous.as_ref().map(|view| view.data()));
        if text("crc32") != Some(&sum(check).to_string()) {
            return Err(failed(&"its contents do not agree with their check sum"));
        }
        let Header { about, course } = serde_json::from_str(header).map_err(|e| failed(&e))?;
        let previous = previous.map(|view| bytemuck::pod_collect_to_vec(view.data()));
        Ok(Some(RunState { about, snapshot: Snapshot { course, arenas }, previous, tables }))
    }

    /// The trainer that goes on from here.
    pub fn trainer<'a>(
        &self,
        path: &Path,
        config: &Config,
        set: &'a ImageSet,
        engine: &'a mut dyn Engine,
    ) -> Result<Trainer<'a>, TrainError> {
        let (layout, snapshot) = (self.about.layout, self.snapshot.clone());
        Trainer::resumed(config.clone(), set, engine, snapshot, |found| {
            let same = sum([found.as_bytes()]) == layout;
            same.then_some(()).ok_or_else(|| damaged(path, "another version of proteus keeps other tensors".into()))
        })
    }
}

fn damaged(path: &Path, problem: String) -> TrainError {
    let problem = format!("{problem}; the run cannot go on from it, begin a new one");
    TrainError::Damaged { path: path.to_path_buf(), problem }
}

/// What decides about the bits of a result: not the number of threads.
pub fn identity(engine: &dyn Engine) -> String {
    match engine.kind() {
        "cpu" => format!("cpu, {}", engine.driver()),
        _ => format!("{}, {}", engine.device(), engine.driver()),
    }
}

/// Check sum of images and labels.
pub fn images_sum(set: &ImageSet) -> u32 {
    let shape = [set.channels, set.height, set.width].map(|extent| extent as u32);
    let labels = set.labels.as_deref().unwrap_or_default();
    sum([bytemuck::cast_slice(&shape), &set.pixels, bytemuck::cast_slice(labels)])
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut crc = Crc::new();
    parts.into_iter().for_each(|part| crc.update(part));
    crc.sum()
}
