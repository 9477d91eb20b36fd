//! The command line: what can be typed, and in which form. What is done about it is in `commands`.

mod cluster;
mod histories;
mod node;
mod pages;
mod program;
mod runs;
mod values;

pub use self::cluster::{
    CleanupArgs, ClusterArgs, DelArgs, FollowArgs, GetArgs, OperationArgs, PromoteArgs, PutArgs, StatusArgs,
    TopologyArgs,
};
pub use self::histories::{
    CheckArgs, ExportArgs, ExportFormat, FailedCasArg, HistoryFormat, ModelArg, ReadingArgs, ShrinkArgs,
};
pub use self::node::{LogForm, NodeArgs};
pub use self::pages::{CompletionsArgs, ManArgs};
pub use self::program::{Cli, Command};
pub use self::runs::{
    ColourChoice, DisplayOptions, GoneArgs, PanicIn, RecordArgs, RecordOptions, RecordTheme, ReportArgs,
    RunArgs, RunOptions, RunsAction, RunsArgs, RunsCleanArgs, ScenariosArgs, SimArgs, Switch, ThemeChoice,
    UpArgs,
};
