//! The start-up as a story, top to bottom: flags, configuration, service manager, limits, sockets, background,
//! privileges, signals, loop.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

use std::process::ExitCode;
use std::rc::Rc;

use oneport::cli::{Cli, WaitBind};
use oneport::config::{self, Config, Loaded, Privileges, ReadFile, Reading, Severity, Source};
use oneport::gateway::limits::{self, Limits, Wishes};
use oneport::gateway::{Gateway, GatewayDuties, GatewayKeeper, Late, Names, Options, Sockets, StartError};
use oneport::net::set_buffer_size;
use oneport::observe::facade::{self, Verbosity, say, show};
use oneport::observe::repeats::WINDOW_MS;
use oneport::observe::{Sinks, zone::Zone};
use oneport::process::daemon::{Side, fork_to_background};
use oneport::process::note_inherited;
use oneport::process::notify::Notify;
use oneport::process::pidfile::PidFile;
use oneport::process::privileges::{Identity, stay_dumpable};
use oneport::process::signals::{Event, Farewell, Signals, signal_others};
use oneport::reactor::{Deadline, Handle, Reactor, off_loop};

/// The start has failed; what was wrong has been said.
struct Failed;

fn main() -> ExitCode {
    note_inherited();
    #[cfg(feature = "explain")]
    let mut words = std::env::args_os().skip(1);
    #[cfg(feature = "explain")]
    if words.next().is_some_and(|word| word == "explain") {
        return oneport::explain::main(words);
    }
    let cli = match Cli::parse(std::env::args_os().skip(1)) {
        Ok(cli) => cli,
        Err(exit) if exit.code == 0 => {
            say(&exit.text);
            return ExitCode::SUCCESS;
        }
        Err(exit) => {
            facade::print(&exit.text);
            return ExitCode::FAILURE;
        }
    };
    facade::init(cli.verbosity);
    match start(cli) {
        Ok(status) => status,
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn start(mut cli: Cli) -> Result<ExitCode, Failed> {
    if let Some(directory) = &cli.directory {
        std::env::set_current_dir(directory)
            .map_err(|error| fail(&format!("cannot change to {}: {error}", directory.display())))?;
    }
    if let Some(condition) = &cli.condition {
        return Ok(answer(&cli, condition));
    }
    let wishes = Wishes { maxconn: cli.maxconn, memory_mib: cli.memory_mib };
    let demo = Demo::start(&mut cli)?;
    let sources = read_sources(&cli, Reading::First).map_err(|message| fail(&message))?;
    if cli.print_config {
        sources.iter().for_each(|source| say(&String::from_utf8_lossy(&source.text)));
        return Ok(ExitCode::SUCCESS);
    }
    let config = load(&cli, &sources, None).ok_or(Failed)?;
    if config.global.quiet {
        facade::init(cli.verbosity.told_by(true));
    }
    let dumpable = config.global.dumpable;
    let privileges = config.global.privileges.clone();
    let identity =
        Identity::of(&privileges).map_err(|errors| show(cli.verbosity, &errors)).map_err(|()| Failed)?;
    let config_bytes = Source::bytes(&sources);
    if cli.check {
        return check(&cli, &wishes, &config, config_bytes);
    }

    // Before anything that could put the service manager's socket out of reach: a chroot, another user.
    let notify = Notify::from_env();
    let limits = Limits::settle(&wishes, &config, config_bytes).map_err(|error| fail(&error.to_string()))?;
    set_buffer_size(config.global.bufsize_bytes);
    let goes_to_background = cli.goes_to_background(config.global.daemon) && !cli.demo;
    let pidfile = cli.pidfile.clone().or_else(|| config.global.pidfile.clone());

    let reactor = Reactor::new().map_err(|error| fail(&format!("cannot make an event loop: {error}")))?;
    let sinks = Sinks::new(Zone::of_system());
    let options = options(&cli, limits.maxconn, &identity, &sinks);
    let names = Names::look_up(Names::wanted(&config));
    let gateway = Gateway::open(reactor, config, &names, options).map_err(|errors| tell(&errors))?;

    // Before the first thread: signals start the control plane's.
    let background = match go_to_background(goes_to_background, &sinks)? {
        Some(Side::Parent(status)) => return Ok(ExitCode::from(u8::try_from(status).unwrap_or(1))),
        Some(Side::Child(starting)) => Some(starting),
        None => None,
    };
    let pidfile = pidfile
        .map(|path| PidFile::create(&path, std::process::id()))
        .transpose()
        .map_err(|message| fail(&message))?;
    let cli = Rc::new(cli);
    let keeper = give_up_privileges(&cli, &identity, pidfile.as_ref()).map_err(|message| {
        pidfile.iter().for_each(PidFile::remove);
        fail(&message)
    })?;
    if dumpable && let Err(message) = stay_dumpable() {
        log::warn!("{message}");
    }
    let signals = Signals::new().map_err(|error| fail(&format!("cannot listen for signals: {error}")))?;
    facade::set_running(gateway.messages(), background.is_some());
    gateway.start();
    say_farewell(&cli, keeper.as_ref());
    demo.announce(&cli);
    log::info!("{limits}");
    // Whoever waits for this goes on: addresses that are not there yet hold up nobody.
    notify.ready(&status(&gateway));
    if let Some(starting) = background {
        starting.ready().map_err(|error| fail(&format!("cannot go to the background: {error}")))?;
    }

    // A task like the others: the loop's own future is polled every turn, and this one asks for signals.
    let given = Given { cli, privileges, keeper: keeper.clone(), notify, sinks, wishes };
    let lost = given.sinks.clone();
    let steering = reactor.spawn_control(serve(given, gateway, signals, limits));
    reactor.spawn_control(tell_held_back(reactor)).detach();
    let ended = reactor.run(steering);
    facade::tell_held_back(true);
    if lost.dropped() > 0 {
        log::warn!("{} log lines were lost since the start", lost.dropped());
    }
    match keeper {
        Some(keeper) => keeper.dismiss(),
        None => pidfile.iter().for_each(PidFile::remove),
    }
    ended.map_err(|error| fail(&format!("the event loop broke: {error}")))
}

/// `-cc`.
fn answer(cli: &Cli, condition: &str) -> ExitCode {
    match config::condition_holds(condition, &|name| variable(cli, name)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            facade::print(&format!("oneport: error: {message}\n"));
            ExitCode::from(2)
        }
    }
}

/// `-c`, after the configuration was read without errors.
fn check(cli: &Cli, wishes: &Wishes, config: &Config, config_bytes: usize) -> Result<ExitCode, Failed> {
    limits::check(wishes, config, config_bytes).map_err(|error| fail(&error.to_string()))?;
    // No error, as in HAProxy: a device's file may be checked on the machine that builds its image.
    if let Some(folder) = config.global.privileges.chroot.as_ref().filter(|folder| !folder.value.is_dir()) {
        let message = "there is no such folder on this machine: a start here would fail";
        show(cli.verbosity, &[folder.warning(message)]);
    }
    if cli.verbosity > Verbosity::Quiet {
        say("Configuration file is valid\n");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be done next.
enum Next {
    Signal(Event),
    /// An address that was waited for came or was given up.
    Waited,
    /// One was given up that the start cannot do without.
    GaveUp,
    /// The last connection has ended after SIGUSR1.
    Finished,
}

fn options(cli: &Cli, maxconn: u32, identity: &Identity, sinks: &Rc<Sinks>) -> Options {
    Options {
        maxconn,
        late: late(cli.wait_bind, identity.loses_rights()),
        take_over: !cli.finish.is_empty() || !cli.terminate.is_empty(),
        log_tag: env!("CARGO_PKG_NAME").into(),
        sinks: sinks.clone(),
    }
}

/// Forks where that is wanted.
fn go_to_background(wanted: bool, sinks: &Sinks) -> Result<Option<Side>, Failed> {
    let side = wanted.then(fork_to_background).transpose();
    let side = side.map_err(|error| fail(&format!("cannot go to the background: {error}")))?;
    if let Some(Side::Child(_)) = side {
        sinks.in_background();
    }
    Ok(side)
}

/// What happens with an address that this machine does not have yet. Who gives up root could not open it later.
fn late(wait_bind: Option<WaitBind>, loses_rights: bool) -> Late {
    match wait_bind {
        None => Late::Refuse,
        Some(_) if loses_rights => Late::AtOnce,
        Some(WaitBind::Forever) => Late::Wait { limit_ms: None },
        Some(WaitBind::Seconds(seconds)) => Late::Wait { limit_ms: Some(u64::from(seconds) * 1_000) },
    }
}

/// Becomes whom the configuration says. Where that leaves a process that could not read its configuration again or
/// open its ports, a keeper keeps the rights.
fn give_up_privileges(
    cli: &Rc<Cli>,
    identity: &Identity,
    pidfile: Option<&PidFile>,
) -> Result<Option<GatewayKeeper>, String> {
    let keeper = identity.loses_rights().then(|| {
        let (reader, knower) = (cli.clone(), cli.clone());
        // In a container an older process can have had this one's number.
        let ourselves = i32::try_from(std::process::id()).unwrap_or(0);
        let others = |pids: &[i32]| pids.iter().copied().filter(|pid| *pid != ourselves).collect::<Vec<_>>();
        let (finish, terminate) = (others(&cli.finish), others(&cli.terminate));
        GatewayKeeper::fork(GatewayDuties {
            sources: Box::new(move || read_sources(&reader, Reading::Again)),
            env: Box::new(move |name| variable(&knower, name)),
            farewell: Some(Box::new(move || signal_older(&finish, &terminate))),
            pidfile: pidfile.cloned(),
            listens_before: cli.wait_bind.is_some(),
            read: None,
        })
    });
    let keeper = keeper.transpose()?;
    identity.take_on()?;
    Ok(keeper)
}

/// Lets older processes go, now that their addresses are served here.
fn say_farewell(cli: &Cli, keeper: Option<&GatewayKeeper>) {
    let sent = keeper.map_or_else(|| signal_older(&cli.finish, &cli.terminate), GatewayKeeper::farewell);
    if let Err(message) = sent {
        log::warn!("{message}");
    }
}

fn signal_older(finish: &[i32], terminate: &[i32]) -> Result<(), String> {
    signal_others(finish, Farewell::Finish)?;
    signal_others(terminate, Farewell::Stop).map(drop)
}

/// What the start has settled for every reload.
struct Given {
    cli: Rc<Cli>,
    privileges: Privileges,
    keeper: Option<GatewayKeeper>,
    notify: Notify,
    sinks: Rc<Sinks>,
    wishes: Wishes,
}

/// Serves until a signal ends it. Connections are tasks of their own; this one only steers. `limits` are those in
/// force.
async fn serve(given: Given, gateway: Gateway, mut signals: Signals, mut limits: Limits) -> ExitCode {
    let notify = &given.notify;
    let mut postponed = None;
    loop {
        let next = match postponed.take() {
            Some(event) => Next::Signal(event),
            None => next(&gateway, &mut signals).await,
        };
        match next {
            Next::Finished => return ExitCode::SUCCESS,
            Next::GaveUp => return ExitCode::FAILURE,
            Next::Waited => notify.status(&status(&gateway)),
            Next::Signal(Event::Reload) if gateway.is_finishing() => {
                log::warn!("not reading the configuration again: this process is about to end");
            }
            Next::Signal(Event::Reload) => {
                notify.reloading();
                // A look-up of names can take long, and a file be a pipe in which nothing comes; a wish to end does
                // not wait for that. Nothing is half in force: the last step of a reload does not wait.
                let reload = async { Ok(reload(&given, &gateway, &mut limits).await) };
                let end = async {
                    loop {
                        match signals.next().await.unwrap_or(Event::Stop) {
                            Event::Reload => postponed = Some(Event::Reload),
                            end => return Err(end),
                        }
                    }
                };
                let outcome = smol::future::or(reload, end).await;
                match outcome {
                    Ok(outcome) => notify.ready(&format!("{}{outcome}", status(&gateway))),
                    Err(end) => postponed = Some(end),
                }
            }
            Next::Signal(Event::Finish) => {
                let message = format!("finishing {} connections, then stopping", gateway.connections());
                log::info!("{message}");
                notify.stopping(&message);
                gateway.finish();
            }
            Next::Signal(Event::Stop) => {
                log::info!("stopping with {} connections", gateway.connections());
                notify.stopping("Stopping");
                return ExitCode::SUCCESS;
            }
        }
    }
}

/// Tells of floods of messages, a while after each began.
async fn tell_held_back(reactor: Handle) {
    let pause = Deadline::new(reactor);
    loop {
        facade::held_back().await;
        pause.set_after(WINDOW_MS.into());
        let _ = pause.guard(std::future::pending::<()>()).await;
        facade::tell_held_back(false);
    }
}

async fn next(gateway: &Gateway, signals: &mut Signals) -> Next {
    // An error means that no signal will come any more.
    let signal = async { Next::Signal(signals.next().await.unwrap_or(Event::Stop)) };
    let other = async {
        if gateway.is_finishing() {
            gateway.finished().await;
            return Next::Finished;
        }
        if gateway.waited().await { Next::Waited } else { Next::GaveUp }
    };
    smol::future::or(signal, other).await
}

/// One line for the service manager.
fn status(gateway: &Gateway) -> String {
    match gateway.waiting_for().as_slice() {
        [] => "Serving".to_owned(),
        missing => format!("Serving; waiting for the addresses {}", missing.join(", ")),
    }
}

/// Reads the configuration again and puts it into force, or says why not and goes on as before. What a status
/// line then adds.
async fn reload(given: &Given, gateway: &Gateway, limits: &mut Limits) -> &'static str {
    const KEPT: &str = "; the last reload failed, the configuration before it is in force";
    let cli = &given.cli;
    let (sources, files, names) = match &given.keeper {
        None => (read_sources(cli, Reading::Again), None, None),
        Some(keeper) => match keeper.read().await {
            Ok((sources, files, names)) => (Ok(sources), Some(files.reader()), Some(names)),
            Err(message) => (Err(message), None, None),
        },
    };
    let sources = sources.map_err(|message| fail(&message));
    let read = sources.ok().and_then(|sources| Some((load(cli, &sources, files)?, Source::bytes(&sources))));
    let Some((config, config_bytes)) = read else {
        log::error!("the configuration has errors: the one before stays in force");
        return KEPT;
    };
    if config.global.privileges != given.privileges {
        log::warn!("`chroot`, `user`, `group`, `uid` and `gid` change only when the program is started anew");
    }
    let new_limits = match Limits::settle(&given.wishes, &config, config_bytes) {
        Ok(new_limits) => new_limits,
        Err(error) => {
            log::error!("{error}");
            log::error!("the new configuration cannot be put to work: the one before stays in force");
            return KEPT;
        }
    };
    // Looking names up blocks: not on this thread, which carries everybody's connections.
    let names = match names {
        Some(names) => names,
        None => {
            let wanted = Names::wanted(&config);
            if wanted.is_empty() {
                Names::default()
            } else {
                off_loop(move || Names::look_up(wanted)).await.unwrap_or_default()
            }
        }
    };
    let sockets = match &given.keeper {
        Some(keeper) => keeper.listen(gateway.missing(&config, new_limits.maxconn)).await,
        None => Sockets::Here,
    };
    // Behind a `chroot` the system's zone cannot be seen; the one of the start stays.
    if given.privileges.chroot.is_none() {
        given.sinks.set_zone(Zone::of_system());
    }
    let bufsize_bytes = config.global.bufsize_bytes;
    match gateway.reload(config, &names, sockets, new_limits.maxconn) {
        Ok(()) => {
            set_buffer_size(bufsize_bytes);
            facade::set_running(gateway.messages(), !given.sinks.has_stderr());
            log::info!("the configuration was read again and is in force");
            if new_limits.to_string() != limits.to_string() {
                log::info!("{new_limits}");
            }
            *limits = new_limits;
            ""
        }
        Err(errors) => {
            tell(&errors);
            log::error!("the new configuration cannot be put to work: the one before stays in force");
            KEPT
        }
    }
}

/// The texts to read: the files named, or the built-in preset.
fn read_sources(cli: &Cli, reading: Reading) -> Result<Vec<Source>, String> {
    if cli.files.is_empty() {
        let preset = &cli.preset;
        let text = config::preset(&preset.listen, &preset.web, &preset.ws, &preset.socket);
        return Ok(vec![Source::new("<preset>", text)]);
    }
    config::read_sources(&cli.files, reading).map_err(|error| error.to_string())
}

/// An environment variable as the configuration sees it.
fn variable(cli: &Cli, name: &str) -> Option<String> {
    match (name, &cli.local_name) {
        ("HAPROXY_LOCALPEER", Some(local)) => Some(local.clone()),
        _ => std::env::var(name).ok(),
    }
}

/// Reads the texts, and the files they name by `files`, and says what is wrong with them; `None` when that is an error.
fn load(cli: &Cli, sources: &[Source], files: Option<ReadFile>) -> Option<Config> {
    let Loaded { config, diagnostics } = config::load_with(sources, &|name| variable(cli, name), files);
    let is_quiet = config.as_ref().is_some_and(|config| config.global.quiet);
    show(cli.verbosity.told_by(is_quiet), &diagnostics);
    let has_warnings = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Warning);
    if config.is_some() && cli.zero_warning && has_warnings {
        fail("there are warnings, and -dW (--zero-warning) allows none");
        return None;
    }
    config
}

fn fail(message: &str) -> Failed {
    log::error!("{message}");
    Failed
}

fn tell(errors: &[StartError]) -> Failed {
    for error in errors {
        log::error!("{error}");
    }
    Failed
}

/// The demo's backends, where it was asked for.
struct Demo {
    #[cfg(feature = "demo")]
    backends: Option<oneport::demo::Backends>,
}

#[cfg(feature = "demo")]
impl Demo {
    /// Starts the backends and points the preset at them.
    fn start(cli: &mut Cli) -> Result<Self, Failed> {
        if !cli.demo || cli.check {
            return Ok(Self { backends: None });
        }
        let backends = oneport::demo::start()
            .map_err(|error| fail(&format!("the demo's backends cannot start: {error}")))?;
        cli.preset.web = backends.web.to_string();
        cli.preset.ws = backends.ws.to_string();
        cli.preset.socket = backends.socket.to_string();
        Ok(Self { backends: Some(backends) })
    }

    /// Says how to try it.
    fn announce(&self, cli: &Cli) {
        if let Some(backends) = &self.backends {
            backends.set_gateway(&cli.preset.listen);
            say(&format!("{}\n", oneport::demo::banner(&cli.preset.listen, backends)));
        }
    }
}

#[cfg(not(feature = "demo"))]
impl Demo {
    fn start(_: &mut Cli) -> Result<Self, Failed> {
        Ok(Self {})
    }

    fn announce(&self, _: &Cli) {}
}
