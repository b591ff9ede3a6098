//! A device on which runs are trained one after the other, stopped by Ctrl-C or SIGTERM.

use super::failure::{Failure, STOPPED};
use super::progress::Display;
use super::train::Args;
use super::watch::Watch;
use super::{say, table};
use crate::data::ImageSet;
use crate::gpu;
use crate::report::{REPORT, illustrate};
use crate::shell::quoted;
use crate::tape::Engine;
use crate::train::{Config, Finished, Resumption, RunFolder, TrainError, train};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A run to train.
pub enum Work {
    /// From the beginning, in a folder in which nothing has been written.
    New(RunFolder),
    /// From where it was left.
    Old(Box<Resumption>),
}

impl Work {
    fn folder(&mut self) -> &mut RunFolder {
        match self {
            Work::New(folder) => folder,
            Work::Old(resumption) => resumption.folder(),
        }
    }
}

/// An open device.
pub struct Session<'a> {
    args: &'a Args,
    engine: Box<dyn Engine>,
    chosen: String,
    stop: Arc<AtomicBool>,
}

impl<'a> Session<'a> {
    /// Opens the device and listens for Ctrl-C and SIGTERM.
    pub fn open(args: &'a Args) -> Result<Self, Failure> {
        let (engine, chosen) = open(args)?;
        if let Some(path) = &args.dump_wgsl {
            if engine.kind() != "gpu" {
                return Err(Failure::User(format!("--dump-wgsl is for a GPU, and the device is {chosen}")));
            }
            let failed = |e| Failure::User(format!("cannot create the folder {} for kernels: {e}", path.display()));
            std::fs::create_dir_all(path).map_err(failed)?;
        }
        let stop = listen().map_err(|e| Failure::Failed(format!("cannot listen for Ctrl-C and SIGTERM: {e}")))?;
        Ok(Session { args, engine, chosen, stop })
    }

    /// Opens the device again: after a failure it may be lost.
    pub fn reopen(&mut self) -> Result<(), Failure> {
        (self.engine, self.chosen) = open(self.args)?;
        Ok(())
    }

    /// Whether a stop was asked for.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Trains a run to its end and writes everything it leaves.
    pub fn train(&mut self, config: &Config, set: &ImageSet, tag: &str, mut work: Work) -> Result<(), Failure> {
        let spec = config.spec(set)?;
        let (c, h, w) = (set.channels, set.height, set.width);
        self.say(format!("device  {}", self.chosen));
        let classes = if set.labels.is_some() { format!("{} classes", set.classes) } else { "no labels".into() };
        self.say(format!("data    {}: {} images, {c}x{h}x{w}, {classes}", set.name, set.len()));
        if set.scored < set.len() {
            self.say(format!("        scores count the first {} images, the others only train", set.scored));
        }
        let (model, sequence) = (spec.model.title(), spec.sequence);
        self.say(format!("model   {model}, {} prototypes, {sequence}, {}", config.clusters, config.encoder));
        let path = work.folder().path().to_path_buf();
        self.say(format!("run     {}{}", path.display(), self.going_on(config, &work)));
        let folder = work.folder().clone();
        let about = self.about(config, tag, &path, None);
        folder.write("run.json", format!("{about:#}\n").as_bytes())?;
        if let Work::New(folder) = &work {
            // Only now: a run that can go on knows the name of its preset.
            folder.start(config, set)?;
        }

        let display = Display::new(self.args.quiet, set.len(), config, sequence, self.stop.clone());
        if self.engine.kind() == "gpu" && self.chosen.contains(", software") {
            let advice = "many times slower than --device cpu, good for checking kernels";
            display.warn(&format!("this is a software adapter, {advice}"));
        }
        if self.engine.kind() == "cpu" && Path::new(&self.args.config).is_dir() && slow(config) {
            let advice = "--size 48 takes a smaller encoder and is several times faster";
            display.warn(&format!("without a GPU resnet18 takes long once transformations join; {advice}"));
        }
        let done = if let Work::Old(resumption) = &work { resumption.done().0 } else { 0 };
        let mut watch = Watch::new(display, (config, set), &path, about, done);
        if self.args.tensorboard {
            watch.tensorboard(done);
        }
        let trained = match &mut work {
            Work::New(folder) => train(config, set, self.engine.as_mut(), folder, &mut watch),
            Work::Old(resumption) => resumption.train(set, self.engine.as_mut(), &mut watch),
        };
        watch.display.finish();
        let finished = match trained {
            Ok(finished) => finished,
            Err(error @ TrainError::Stopped { .. }) => {
                let (run, resume) = (path.display(), resume_line(self.args, &path));
                return Err(Failure::Stopped(format!(
                    "{error}; the weights are in {run} (proteus eval {run}). To go on: {resume}"
                )));
            }
            Err(error) => {
                let mut about = self.about(config, tag, &path, None);
                about["failed"] = json!(error.to_string());
                // The first error is the one to report.
                let _ = folder.write("run.json", format!("{about:#}\n").as_bytes());
                return Err(error.into());
            }
        };
        let about = self.about(config, tag, &path, Some((&finished, set.len())));
        let illustrated = illustrate(&path, config, set, self.engine.as_mut(), &finished.evaluation, &about);
        if let Err(error) = &illustrated {
            // The run itself is whole.
            let again = format!("proteus report {}", quoted(&path.display().to_string()));
            eprintln!("warning: no report and not all pictures: {error}. To try again: {again}");
        }
        // The last file: with it the run is finished.
        folder.write("run.json", format!("{about:#}\n").as_bytes())?;
        let (seconds, rate) = (finished.seconds, (config.epochs * set.len()) as f64 / finished.seconds);
        self.say(table::text(&finished.evaluation));
        self.say(format!("  time   {seconds:.0} s ({rate:.0} images/s)   memory {} MiB", finished.peak_memory >> 20));
        if illustrated.is_ok() {
            self.say(format!("Look at {}", folder.file(REPORT).display()));
        }
        Ok(())
    }

    /// Where a run goes on, and a warning if its bits may change.
    fn going_on(&self, config: &Config, work: &Work) -> String {
        let Work::Old(resumption) = work else { return String::new() };
        if let Some(before) = resumption.other_device(self.engine.as_ref()) {
            eprintln!(
                "warning: this run was trained on another device ({before}): results may differ in their last bits"
            );
        }
        let (epochs, step) = resumption.done();
        let steps = if step > 0 { format!(" and {step} steps") } else { String::new() };
        format!(", after {epochs} of {} epochs{steps}", config.epochs)
    }

    /// What run.json says; of an end, where there is one, with the number of images.
    fn about(&self, config: &Config, tag: &str, run: &Path, end: Option<(&Finished, usize)>) -> Value {
        let mut about = json!({
            "proteus": env!("CARGO_PKG_VERSION"),
            "platform": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "engine": self.engine.kind(),
            "device": self.engine.device(),
            "driver": self.engine.driver(),
            "chosen": self.chosen,
            "preset": tag,
            "seed": config.seed,
            "epochs": config.epochs,
            "reproduce": reproduce_line(self.args, run),
        });
        if let Some((finished, images)) = end {
            about["started"] = json!(finished.started);
            about["ended"] = json!(crate::train::now());
            about["resumed"] = json!(finished.resumed);
            about["seconds"] = json!(finished.seconds);
            about["images_per_s"] = json!((config.epochs * images) as f64 / finished.seconds);
            about["peak_bytes"] = json!(finished.peak_memory);
            if let Some(streaming) = finished.streaming {
                about["streamed"] = json!({"chunks": streaming.chunks, "images_of_a_chunk": streaming.images});
            }
            about["final"] = table::json(&finished.evaluation);
        }
        about
    }

    fn say(&self, line: String) {
        say(self.args.quiet, line);
    }
}

/// Whether transformations of photographs are trained with the encoder that is meant for a GPU.
fn slow(config: &Config) -> bool {
    let transforms = config.curriculum.iter().any(|&after| after < config.epochs);
    config.encoder == "resnet18" && config.image_size > 48 && transforms
}

/// A flag that Ctrl-C and SIGTERM set. SIGHUP stays as it is, since `nohup` has it ignored.
fn listen() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    // Ctrl-C where a stop was asked for already: the user does not want to wait for the step. Files are always whole. A
    // second SIGTERM says nothing new: `timeout` sends two, to the process and to its group.
    flag::register_conditional_shutdown(SIGINT, STOPPED.into(), stop.clone())?;
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

fn open(args: &Args) -> Result<(Box<dyn Engine>, String), Failure> {
    let (dump_wgsl, variants) = (args.dump_wgsl.clone(), args.variant.clone());
    let options = gpu::Options { dump_wgsl, variants, ..Default::default() };
    let (engine, chosen) = args.compute.open(options)?;
    if !args.variant.is_empty() && engine.kind() == "cpu" {
        return Err(Failure::User(format!("--variant is for the GPU, and the device is {chosen}")));
    }
    Ok((args.memory.limit(engine), chosen))
}

/// The command that goes on with a run.
pub fn resume_line(args: &Args, run: &Path) -> String {
    with_device(args, format!("proteus train --resume {}", quoted(&run.display().to_string())))
}

/// The command that does a run again.
fn reproduce_line(args: &Args, run: &Path) -> String {
    let config = run.join("config.toml").display().to_string();
    with_device(args, format!("proteus train {}", quoted(&config)))
}

/// A command with the device and the places of data that were asked for.
fn with_device(args: &Args, mut line: String) -> String {
    if args.compute.device != "auto" {
        line += &format!(" --device {}", quoted(&args.compute.device));
    }
    for variant in &args.variant {
        line += &format!(" --variant {variant}");
    }
    if let Some(threads) = args.compute.threads {
        line += &format!(" --threads {threads}");
    }
    if let Some(mib) = args.memory.image_memory {
        line += &format!(" --image-memory {mib}");
    }
    for folder in &args.places.data {
        line += &format!(" --data {}", quoted(&folder.display().to_string()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_encoders_are_warned_of() {
        let folder = ["encoder=resnet18", "image_size=128", "sequence=identity color", "epochs=9", "curriculum=[3]"];
        let config = Config::default().set(&folder).expect("a configuration");
        assert!(slow(&config));
        for change in ["encoder=resnet20", "image_size=48", "curriculum=[9]"] {
            assert!(!slow(&config.clone().set(&[change]).expect("a configuration")), "{change}");
        }
    }
}
