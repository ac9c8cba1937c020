//! Runs the same tests on each of the databases.

/// Creates a test of each function for each database, in the modules `sqlite`, `mariadb` and `postgres`.
#[macro_export]
macro_rules! on_each_database {
    ($($test:ident),* $(,)?) => {
        $crate::on_each_database!(@ sqlite Sqlite $($test)*);
        $crate::on_each_database!(@ mariadb MariaDb $($test)*);
        $crate::on_each_database!(@ postgres Postgres $($test)*);
    };
    (@ $module:ident $kind:ident $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test($crate::Kind::$kind);
            })*
        }
    };
}

/// Creates the tests for the two databases that have a server, in the modules `mariadb` and `postgres`.
#[macro_export]
macro_rules! on_each_server {
    ($($test:ident),* $(,)?) => {
        $crate::on_each_database!(@ mariadb MariaDb $($test)*);
        $crate::on_each_database!(@ postgres Postgres $($test)*);
    };
}

/// Creates the tests for MySQL, in the module `mysql`. If it is not installed, each test reports that it did not run.
#[macro_export]
macro_rules! on_mysql {
    ($($test:ident),* $(,)?) => {
        mod mysql {
            $(#[test]
            fn $test() {
                if $crate::mysql::can_run(concat!(module_path!(), "::", stringify!($test))) {
                    super::$test($crate::Kind::MySql);
                }
            })*
        }
    };
}

/// Creates the tests of `on_each_database`, and those for MySQL.
#[macro_export]
macro_rules! on_each_database_and_mysql {
    ($($test:ident),* $(,)?) => {
        $crate::on_each_database!($($test),*);
        $crate::on_mysql!($($test),*);
    };
}

/// Creates the tests of `on_each_server`, and those for MySQL.
#[macro_export]
macro_rules! on_each_server_and_mysql {
    ($($test:ident),* $(,)?) => {
        $crate::on_each_server!($($test),*);
        $crate::on_mysql!($($test),*);
    };
}
