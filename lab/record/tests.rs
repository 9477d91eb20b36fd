//! Pictures of the made-up run.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Size;

use super::*;
use crate::screen::Theme;
use crate::screen::fixture::{Player, many_faults, moment, split_brain};

fn frame(player: Player, t_us: u64, size: (u16, u16)) -> Buffer {
    let events = split_brain(player);
    frame_at(&events, Duration::from_micros(t_us), Size::new(size.0, size.1), Theme::RECORDING)
}

/// Writes pictures to look at into the directory named by `KVLAB_DRAW`; without it, only draws them.
#[test]
#[expect(clippy::disallowed_methods, reason = "writes pictures where the developer asks for them")]
fn pictures() {
    let dir = std::env::var_os("KVLAB_DRAW").map(std::path::PathBuf::from);
    let moments = [
        ("calm", moment::CALM),
        ("isolated", moment::ISOLATED),
        ("split", moment::SPLIT),
        ("healed", moment::HEALED),
    ];
    let mut drawn = Vec::new();
    for (name, t_us) in moments {
        for size in [(120, 36), (80, 24)] {
            for player in [Player::Person, Player::Scenario] {
                let buf = frame(player, t_us, size);
                drawn.push((format!("{name}-{}-{player:?}", size.0), buf));
            }
        }
    }
    for nodes in [3, 5, 9] {
        for (w, h) in [(120, 36), (80, 24)] {
            let buf =
                frame_at(&many_faults(nodes), Duration::from_secs(7), Size::new(w, h), Theme::RECORDING);
            drawn.push((format!("faults{nodes}-{w}"), buf));
        }
    }
    for (name, buf) in drawn {
        let svg = to_svg(&buf, &Paper::DARK, &name);
        assert!(svg.len() < 200_000, "{name}: {} bytes", svg.len());
        if let Some(dir) = &dir {
            std::fs::write(dir.join(format!("{name}.svg")), svg).unwrap();
            std::fs::write(dir.join(format!("{name}.txt")), to_text(&buf)).unwrap();
        }
    }
}
