//! Families of stored passwords that are verified together.

use mailauth_lockstep::bcrypt::{self, BcryptLanes};
use mailauth_lockstep::sha512::{self, Sha512Lanes, Unit};
use mailauth_lockstep::{Finished, Lockstep};

/// A family of stored passwords. Those of one family are verified together, whatever their salts, lengths and costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// sha512-crypt and PBKDF2 with HMAC-SHA512.
    Sha512,
    /// bcrypt, and passlib's bcrypt of an HMAC.
    Bcrypt,
}

impl Family {
    /// Returns true if this processor verifies several of them faster together than one after the other.
    pub fn has_lanes(self) -> bool {
        match self {
            Family::Sha512 => Unit::detected().is_some(),
            Family::Bcrypt => true,
        }
    }

    /// Returns empty lanes, or `None` if this processor has none for the family.
    pub(crate) fn engine(self) -> Option<Engine> {
        match self {
            Family::Sha512 => Unit::detected().map(|unit| Engine::Sha512(Box::new(Sha512Lanes::new(unit)))),
            Family::Bcrypt => Some(Engine::Bcrypt(BcryptLanes::new())),
        }
    }
}

/// What to compute of one password, of any family.
pub(crate) enum Task {
    /// A password of [`Family::Sha512`].
    Sha512(sha512::Task),
    /// A password of [`Family::Bcrypt`].
    Bcrypt(bcrypt::Task),
}

impl Task {
    /// Returns the family.
    pub fn family(&self) -> Family {
        match self {
            Task::Sha512(_) => Family::Sha512,
            Task::Bcrypt(_) => Family::Bcrypt,
        }
    }

    /// Returns the number of bytes of memory that it uses in its lane.
    pub fn memory(&self) -> u64 {
        match self {
            Task::Sha512(task) => task.memory(),
            Task::Bcrypt(task) => task.memory(),
        }
    }
}

/// The lanes of one family.
pub(crate) enum Engine {
    Sha512(Box<Sha512Lanes>),
    Bcrypt(BcryptLanes),
}

impl Lockstep for Engine {
    type Task = Task;

    fn lanes(&self) -> usize {
        match self {
            Engine::Sha512(lanes) => lanes.lanes(),
            Engine::Bcrypt(lanes) => lanes.lanes(),
        }
    }

    /// Loads a lane. Nothing is loaded if the task is of another family.
    fn load(&mut self, lane: usize, task: Task) {
        match (self, task) {
            (Engine::Sha512(lanes), Task::Sha512(task)) => lanes.load(lane, task),
            (Engine::Bcrypt(lanes), Task::Bcrypt(task)) => lanes.load(lane, task),
            (Engine::Sha512(_), Task::Bcrypt(_)) | (Engine::Bcrypt(_), Task::Sha512(_)) => {}
        }
    }

    fn run(&mut self) -> Vec<Finished> {
        match self {
            Engine::Sha512(lanes) => lanes.run(),
            Engine::Bcrypt(lanes) => lanes.run(),
        }
    }
}
