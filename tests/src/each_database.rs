//! The same stories on each of the three databases.

/// Makes a test of each function for each database, in the modules `sqlite`, `mariadb` and `postgres`.
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

/// The same on the two databases that have a server, in the modules `mariadb` and `postgres`.
#[macro_export]
macro_rules! on_each_server {
    ($($story:ident),* $(,)?) => {
        $crate::on_each_database!(@ mariadb MariaDb $($story)*);
        $crate::on_each_database!(@ postgres Postgres $($story)*);
    };
}
