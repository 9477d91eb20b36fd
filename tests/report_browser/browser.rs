//! A headless Chromium, driven through chromedriver by the WebDriver protocol (W3C), as little of it as is needed.

#![expect(clippy::disallowed_methods, reason = "a browser is started, and pictures are files")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// A condition that has not come true by then never will.
const DEADLINE_MS: u64 = 60_000;
/// A request to the driver, in seconds: longer than any condition.
const REQUEST_S: u64 = 90;
/// No network, no sandbox (the tests may run as root), no noise.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// A browser with one page. Dropping it ends every process of it.
pub(crate) struct Browser {
    driver: Child,
    base: String,
    _profile: tempfile::TempDir,
}

/// Keys that have no character, as WebDriver writes them.
pub(crate) mod keys {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const HOME: &str = "\u{e011}";
    pub(crate) const RIGHT: &str = "\u{e014}";
    pub(crate) const DOWN: &str = "\u{e015}";
}

impl Browser {
    /// Starts chromedriver and, through it, Chromium, with an empty profile.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is installed: apt-get install chromium chromium-driver");
        let said = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port = said.map_while(Result::ok).find_map(|line| {
            let after = line.split_once("started successfully on port ")?.1;
            after.trim_end_matches('.').parse::<u16>().ok()
        });
        let mut browser = Self {
            driver,
            base: format!("http://127.0.0.1:{}", port.expect("chromedriver names its port")),
            _profile: profile,
        };
        let mut args: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        args.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": DEADLINE_MS},
        }}});
        let session = browser.post("/session", &wanted);
        let id = session["sessionId"].as_str().expect("a session").to_owned();
        browser.base = format!("{}/session/{id}", browser.base);
        browser
    }

    /// Opens a file from disk and waits until the page says that it is ready. Returns after how many milliseconds
    /// that was, by the page's own clock.
    pub(crate) fn open(&self, file: &Path) -> u64 {
        self.go(file);
        self.until("document.documentElement.dataset.ready !== undefined");
        let ready = self.run("return Number(document.documentElement.dataset.ready)");
        ready.as_u64().expect("milliseconds")
    }

    /// Opens a file from disk.
    pub(crate) fn go(&self, file: &Path) {
        self.post("/url", &json!({"url": format!("file://{}", file.display())}));
    }

    /// What a script in the page returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What a script returns, which is text.
    pub(crate) fn text(&self, script: &str) -> String {
        let value = self.run(script);
        value.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()
    }

    /// What a script returns, which is a number.
    pub(crate) fn number(&self, script: &str) -> f64 {
        let value = self.run(script);
        value.as_f64().unwrap_or_else(|| panic!("{script}: {value}"))
    }

    /// Waits until an expression is true in the page: it is looked at whenever the page is drawn.
    pub(crate) fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => ({condition}) ? done(true) : setTimeout(look, 10); look();"
        );
        let done = self.post("/execute/async", &json!({"script": script, "args": []}));
        assert_eq!(done, json!(true), "{condition}");
    }

    /// Presses keys, one after the other.
    pub(crate) fn press(&self, keys: &[&str]) {
        let down_up =
            |key: &&str| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.iter().flat_map(down_up).collect();
        self.act(&json!({"type": "key", "id": "keys", "actions": actions}));
    }

    /// Clicks into the middle of the first element that the selector finds, where a person would.
    pub(crate) fn click(&self, selector: &str) {
        let (x, y) = self.middle(selector);
        self.act(
            &json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
                {"type": "pointerMove", "x": x, "y": y},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerUp", "button": 0},
            ]}),
        );
    }

    /// Drags from the middle of an element, so many pixels to the right.
    pub(crate) fn drag(&self, selector: &str, by: i64) {
        let (x, y) = self.middle(selector);
        self.act(
            &json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
                {"type": "pointerMove", "x": x, "y": y},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerMove", "x": x + by / 2, "y": y, "duration": 20},
                {"type": "pointerMove", "x": x + by, "y": y, "duration": 20},
                {"type": "pointerUp", "button": 0},
            ]}),
        );
    }

    /// Turns the wheel over the middle of an element.
    pub(crate) fn wheel(&self, selector: &str, down: i64) {
        let (x, y) = self.middle(selector);
        self.act(&json!({"type": "wheel", "id": "wheel", "actions": [
            {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": down},
        ]}));
    }

    /// What the browser has to complain of since it was asked last: errors and warnings of the page.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        log.as_array().expect("a list").iter().map(ToString::to_string).collect()
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The page as PDF.
    pub(crate) fn print(&self) -> Vec<u8> {
        let pdf = self.post("/print", &json!({"background": false}));
        STANDARD.decode(pdf.as_str().expect("base64")).expect("base64")
    }

    /// What is to be seen, of a page so wide and so high, as PNG.
    pub(crate) fn picture(&self, (width, height): (u32, u32), file: &Path) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", &size);
        // Whoever draws when the size has changed has drawn after two frames.
        self.post("/execute/async", &json!({"args": [], "script":
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)))"}));
        let png = self.cdp("Page.captureScreenshot", &json!({"format": "png"}));
        let bytes = STANDARD.decode(png["data"].as_str().expect("base64")).expect("base64");
        std::fs::write(file, bytes).expect("written");
        self.cdp("Emulation.clearDeviceMetricsOverride", &json!({}));
    }

    /// Where the middle of an element is, which is scrolled into view.
    fn middle(&self, selector: &str) -> (i64, i64) {
        let script = format!(
            "const e = document.querySelector({}); e.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]",
            json!(selector)
        );
        let place = self.run(&script);
        let at = |nth: usize| place[nth].as_f64().unwrap_or_else(|| panic!("{selector}: {place}")) as i64;
        (at(0), at(1))
    }

    fn act(&self, source: &Value) {
        self.post("/actions", &json!({"actions": [source]}));
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = minreq::post(format!("{}{path}", self.base)).with_timeout(REQUEST_S);
        let response = request.with_json(body).expect("JSON").send().expect("the driver answers");
        let answer: Value = response.json().expect("JSON");
        assert!(response.status_code < 400, "{path} {body}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session's end ends Chromium; the group's end ends whatever is left.
        let _ = minreq::delete(&self.base).with_timeout(10).send();
        if let Some(group) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}
