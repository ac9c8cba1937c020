//! Runs the same tests on each of the databases.

/// Creates a test of each function for each database, in the modules `sqlite`, `mariadb` and `postgres`.
#[macro_export]
macro_rules! on_each_database {
    ($($story:ident),* $(,)?) => {
        $crate::on_each_database!(@ sqlite Sqlite $($story)*);
        $crate::on_each_database!(@ mariadb MariaDb $($story)*);
        $crate::on_each_database!(@ postgres Postgres $($story)*);
    };
    (@ $module:ident $kind:ident $($story:ident)*) => {
        mod $module {
            $(#[test]
            fn $story() {
                super::$story($crate::Kind::$kind);
            })*
        }
    };
}

/// Creates the tests for the two databases that have a server, in the modules `mariadb` and `postgres`.
#[macro_export]
macro_rules! on_each_server {
    ($($story:ident),* $(,)?) => {
        $crate::on_each_database!(@ mariadb MariaDb $($story)*);
        $crate::on_each_database!(@ postgres Postgres $($story)*);
    };
}

/// Creates the tests for MySQL, in the module `mysql`. If it is not installed, each test reports that it did not run.
#[macro_export]
macro_rules! on_mysql {
    ($($story:ident),* $(,)?) => {
        mod mysql {
            $(#[test]
            fn $story() {
                if $crate::mysql::can_run(concat!(module_path!(), "::", stringify!($story))) {
                    super::$story($crate::Kind::MySql);
                }
            })*
        }
    };
}

/// Creates the tests of `on_each_database`, and those for MySQL.
#[macro_export]
macro_rules! on_each_database_and_mysql {
    ($($story:ident),* $(,)?) => {
        $crate::on_each_database!($($story),*);
        $crate::on_mysql!($($story),*);
    };
}

/// Creates the tests of `on_each_server`, and those for MySQL.
#[macro_export]
macro_rules! on_each_server_and_mysql {
    ($($story:ident),* $(,)?) => {
        $crate::on_each_server!($($story),*);
        $crate::on_mysql!($($story),*);
    };
}
