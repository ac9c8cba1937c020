//! Importing rows, from one to a million: everything or nothing.
//!
//! Rows are read in batches. Of each batch it is planned what is to be done, by statements that only read, and then it is
//! done. All batches are in one transaction.

mod account_rows;
mod accounts;
mod alias_domains;
mod aliases;
mod domains;

pub(super) use accounts::AccountImport;
pub(super) use alias_domains::AliasDomainImport;
pub(super) use aliases::AliasImport;
pub(super) use domains::DomainImport;

use super::SqlStore;
use super::administer::Done;
use super::statements::BATCH;
use super::writer::Writer;
use crate::store::administration::AdminError;
use crate::store::driver::{Connection, DriverError, Refusal};
use crate::store::importing::{ImportError, ImportMode, ImportSource, ImportSummary};
use crate::store::{Changed, StoreError};
use std::io;

/// Maximum number of bytes of text in a batch, unless a single row has more. Databases limit the size of a statement.
const BATCH_BYTES: usize = 1 << 20;

/// Savepoint to which a refused statement is undone. After a refusal PostgreSQL accepts nothing else; and if a database
/// has undone the whole transaction by itself, returning to the savepoint fails, so nothing is added outside of it.
const MARK: &str = "SAVEPOINT batch";
const BACK: &str = "ROLLBACK TO SAVEPOINT batch";

/// What an import does with the rows of one table.
pub(super) trait ImportTable {
    /// A row of the source.
    type Record;
    /// A row of the table.
    type Row;

    /// Returns what is to be done with each of these records, or why it is refused. This only reads.
    fn plan(
        &mut self,
        connection: &mut dyn Connection,
        records: Vec<Self::Record>,
        pass: Pass,
    ) -> Result<Vec<Plan<Self::Row>>, DriverError>;

    /// Writes these rows.
    fn carry_out(&mut self, writer: &mut Writer<'_>, steps: &[&Step<Self::Row>]) -> Done<()>;

    /// Returns the reason why this row was refused.
    fn refusal(&self, row: &Self::Row, error: DriverError) -> AdminError;

    /// Returns the change of this row.
    fn changed(row: &Self::Row) -> Changed;

    /// Returns the number of bytes of text in a record.
    fn size(record: &Self::Record) -> usize;

    /// Forgets what was done since the last savepoint.
    fn undo(&mut self) {}

    /// Returns the domains that were added for rows, or would be, since the last call.
    fn take_domains(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Passes over the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Rows are written, up to the first refusal. Only what cannot be known by writing is asked first.
    Quick,
    /// All refusals are found.
    Thorough,
    /// Nothing is written.
    Dry,
}

/// What is to be done with a row.
pub(super) enum Step<Row> {
    Add(Row),
    /// These columns have another value.
    Change(Row, Vec<&'static str>),
    Keep,
}

impl<Row> Step<Row> {
    fn row(&self) -> Option<&Row> {
        match self {
            Step::Add(row) | Step::Change(row, _) => Some(row),
            Step::Keep => None,
        }
    }
}

/// What is to be done with a row, or why it is refused.
type Plan<Row> = Result<Step<Row>, AdminError>;

/// A planned step and its place in the source.
type Planned<Row> = (u64, Step<Row>);

/// The places of rows that are refused, and the reasons.
type Refused = Vec<(u64, AdminError)>;

/// Reason why the transaction of an import is undone.
enum Undone {
    /// A row that was refused.
    Refused,
    Failed(ImportError),
}

impl<E: Into<ImportError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Undone::Failed(error.into())
    }
}

impl SqlStore {
    /// Imports everything or nothing. The first attempt ends at the first refusal. The second one, which is slower, finds
    /// all other refusals, and imports nothing either unless the cause has gone.
    pub(super) fn import_into<T: ImportTable>(
        &self,
        table: &dyn Fn() -> T,
        source: &mut dyn ImportSource<T::Record>,
        mode: ImportMode,
    ) -> Result<ImportSummary, ImportError> {
        self.ensure_own()?;
        if mode.dry_run {
            return self.foresee(table(), source);
        }
        if !source.is_spoilt() {
            match self.attempt(table(), source, Pass::Quick) {
                Ok(summary) => return Ok(summary),
                Err(Undone::Failed(error)) => return Err(error),
                Err(Undone::Refused) => {}
            }
        }
        source.rewind()?;
        match self.attempt(table(), source, Pass::Thorough) {
            Ok(summary) => Ok(summary),
            Err(Undone::Refused) => Ok(ImportSummary::default()),
            Err(Undone::Failed(error)) => Err(error),
        }
    }

    /// Runs one transaction over everything in the source.
    fn attempt<T: ImportTable>(
        &self,
        table: T,
        source: &mut dyn ImportSource<T::Record>,
        pass: Pass,
    ) -> Result<ImportSummary, Undone> {
        let imported = self.change_or(|writer| {
            let mut import = Import { table, summary: ImportSummary::default() };
            loop {
                let batch = match fill::<T>(source) {
                    Ok(batch) => batch,
                    Err(error) => return Ok(Err(error.into())),
                };
                if batch.0.is_empty() {
                    return Ok(if source.is_spoilt() { Err(Undone::Refused) } else { Ok(import.summary) });
                }
                match import.add(writer, batch, pass, source) {
                    Ok(Ok(())) => {}
                    Ok(Err(undone)) => return Ok(Err(undone)),
                    Err(error @ DriverError::Refused { .. }) => return Ok(Err(self.hosts.store_error(error).into())),
                    Err(error) => return Err(error),
                }
            }
        });
        imported.unwrap_or_else(|error| Err(error.into()))
    }

    /// Returns what an import would do, apart from the rows that would be refused.
    fn foresee<T: ImportTable>(
        &self,
        table: T,
        source: &mut dyn ImportSource<T::Record>,
    ) -> Result<ImportSummary, ImportError> {
        let mut import = Import { table, summary: ImportSummary::default() };
        loop {
            let (places, records) = fill::<T>(source)?;
            if places.is_empty() {
                return Ok(import.summary);
            }
            let mut records = Some(records);
            let planned = self.hosts.read(|connection| {
                self.ensure_schema(connection)?;
                let records = records.take().ok_or_else(|| DriverError::Lost("the connection broke".to_owned()))?;
                import.table.plan(connection, records, Pass::Dry)
            })?;
            for (place, step) in places.into_iter().zip(planned) {
                let goes_on = match step {
                    Ok(step) => {
                        import.count(&step);
                        true
                    }
                    Err(why) => source.refuse(place, why),
                };
                if !goes_on {
                    return Ok(import.summary);
                }
            }
            import.summary.domains += import.table.take_domains().len() as u64;
        }
    }
}

/// An import, and what it has done so far.
struct Import<T> {
    table: T,
    summary: ImportSummary,
}

impl<T: ImportTable> Import<T> {
    /// Adds a batch.
    fn add(
        &mut self,
        writer: &mut Writer<'_>,
        (places, records): (Vec<u64>, Vec<T::Record>),
        pass: Pass,
        source: &mut dyn ImportSource<T::Record>,
    ) -> Result<Result<(), Undone>, DriverError> {
        let count = places.len();
        let planned = match self.table.plan(writer.reading(), records, pass) {
            Err(DriverError::Refused { .. }) if pass == Pass::Quick => return Ok(Err(Undone::Refused)),
            planned => planned?,
        };
        let (mut steps, mut refused) = (Vec::with_capacity(count), Refused::new());
        for (place, step) in places.into_iter().zip(planned) {
            match step {
                Ok(Step::Keep) => self.summary.unchanged += 1,
                Ok(step) => steps.push((place, step)),
                Err(why) => refused.push((place, why)),
            }
        }
        if pass == Pass::Quick {
            if !refused.is_empty() || !self.write_at_once(writer, &steps)? {
                return Ok(Err(Undone::Refused));
            }
            self.record(&steps, source);
            return Ok(Ok(()));
        }
        self.narrow(writer, &steps, &mut refused, source)?;
        if let Some(error) = of_none(&refused, count) {
            return Ok(Err(error.into()));
        }
        for (place, why) in refused {
            if !source.refuse(place, why) {
                return Ok(Err(Undone::Refused));
            }
        }
        Ok(Ok(()))
    }

    /// Writes these steps; returns false if one of them is refused.
    fn write_at_once(&mut self, writer: &mut Writer<'_>, steps: &[Planned<T::Row>]) -> Result<bool, DriverError> {
        match self.table.carry_out(writer, &of(steps)) {
            Ok(done) => Ok(done.is_ok()),
            Err(DriverError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the steps that are not refused.
    fn narrow(
        &mut self,
        writer: &mut Writer<'_>,
        steps: &[Planned<T::Row>],
        refused: &mut Refused,
        source: &mut dyn ImportSource<T::Record>,
    ) -> Result<(), DriverError> {
        if steps.is_empty() {
            return Ok(());
        }
        writer.reading().batch(MARK)?;
        let why = match self.table.carry_out(writer, &of(steps)) {
            Ok(Ok(())) => {
                self.record(steps, source);
                return Ok(());
            }
            // The cause of this error is not a row.
            Err(error @ DriverError::Refused { kind: Refusal::Forbidden, .. }) => return Err(error),
            Err(error @ DriverError::Refused { .. }) => Err(error),
            Ok(Err(why)) => Ok(why),
            Err(error) => return Err(error),
        };
        self.table.undo();
        writer.reading().batch(BACK)?;
        if let [(place, step)] = steps {
            let why = match (why, step.row()) {
                (Ok(why), _) => why,
                (Err(error), Some(row)) => self.table.refusal(row, error),
                (Err(error), None) => return Err(error),
            };
            refused.push((*place, why));
            return Ok(());
        }
        let (first, second) = steps.split_at(steps.len() / 2);
        self.narrow(writer, first, refused, source)?;
        self.narrow(writer, second, refused, source)
    }

    /// Counts steps that were done.
    fn record(&mut self, steps: &[Planned<T::Row>], source: &mut dyn ImportSource<T::Record>) {
        for (_, step) in steps {
            self.count(step);
            if let Some(row) = step.row() {
                source.written(T::changed(row), matches!(step, Step::Add(_)));
            }
        }
        for domain in self.table.take_domains() {
            self.summary.domains += 1;
            source.written(domains::changed_domain(&domain), true);
        }
    }

    fn count(&mut self, step: &Step<T::Row>) {
        match step {
            Step::Add(_) => self.summary.added += 1,
            Step::Keep => self.summary.unchanged += 1,
            Step::Change(_, columns) => {
                self.summary.changed += 1;
                for column in columns {
                    *self.summary.columns.entry(column).or_default() += 1;
                }
            }
        }
    }
}

fn of<Row>(steps: &[Planned<Row>]) -> Vec<&Step<Row>> {
    steps.iter().map(|(_, step)| step).collect()
}

/// Reads the next batch, which is empty at the end: the places and the records.
fn fill<T: ImportTable>(source: &mut dyn ImportSource<T::Record>) -> io::Result<(Vec<u64>, Vec<T::Record>)> {
    let (mut places, mut records) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let mut size = 0;
    while records.len() < BATCH && size < BATCH_BYTES {
        let Some((place, record)) = source.next()? else { break };
        size += T::size(&record);
        places.push(place);
        records.push(record);
    }
    Ok((places, records))
}

/// Runs `work`, which only reads. If it is refused, which in a transaction has to be undone, nothing was found: a value
/// that no row can hold is in no row.
fn found<R: Default>(
    connection: &mut dyn Connection,
    pass: Pass,
    work: impl FnOnce(&mut dyn Connection) -> Result<R, DriverError>,
) -> Result<R, DriverError> {
    if pass != Pass::Thorough {
        return work(connection);
    }
    connection.batch(MARK)?;
    match work(connection) {
        Err(DriverError::Refused { kind, .. }) if kind != Refusal::Forbidden => {
            connection.batch(BACK)?;
            Ok(R::default())
        }
        done => done,
    }
}

/// Returns the error of a database that refuses each of several rows for the same reason. The rows are not its cause
/// then.
fn of_none(refused: &Refused, of: usize) -> Option<StoreError> {
    let (_, AdminError::Store(error)) = refused.first()? else { return None };
    let same = |(_, why): &(u64, AdminError)| matches!(why, AdminError::Store(why) if why == error);
    (refused.len() == of && of > 1 && refused.iter().all(same)).then(|| error.clone())
}
