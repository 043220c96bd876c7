//! What stands in the database, where the API does not show it.

use store::{Error, Options, Row, Store, Target};

use super::Server;

impl Server {
    /// The rows of a query, read beside the server.
    #[track_caller]
    pub(crate) fn rows<T: Send + 'static>(
        &self,
        sql: &'static str,
        map: impl FnMut(&Row<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Vec<T> {
        let options = Options {
            connections: 1,
            ..Options::default()
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let rows = runtime.block_on(async {
            let store = match self.database_url() {
                Some(url) => Store::open(&Target::Postgres(url), options).await?,
                None => {
                    Store::open_read_only(&self.data_dir().join("dealwright.db"), options).await?
                }
            };
            let rows = store.read(move |db| db.query(sql, &[], map)).await;
            store.close().await;
            rows
        });
        rows.unwrap_or_else(|error: Error| panic!("{sql}: {error}"))
    }
}
