//! Saved screens: a name and the query string that it stands for.

use serde::Serialize;

use super::{Store, StoreError};

/// The longest name of a screen.
pub(crate) const NAME_MAX_BYTES: usize = 80;
/// The most screens that may be saved.
const SCREENS_MAX: i64 = 1_000;

/// A saved screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub(crate) struct Screen {
    /// Never used twice.
    pub(crate) id: i64,
    /// Unique whatever its case.
    pub(crate) name: String,
    /// The filter's one query string.
    pub(crate) query: String,
    /// When it was saved, in UTC.
    pub(crate) created_at: String,
}

impl Store {
    /// Every saved screen by name.
    pub(crate) async fn screens(&self) -> Result<Vec<Screen>, StoreError> {
        let all = "SELECT id, name, query, created_at FROM screens ORDER BY name";
        Ok(sqlx::query_as(all).fetch_all(&self.pool).await?)
    }

    /// One saved screen.
    pub(crate) async fn screen(&self, id: i64) -> Result<Option<Screen>, StoreError> {
        let one = "SELECT id, name, query, created_at FROM screens WHERE id = ?";
        Ok(sqlx::query_as(one).bind(id).fetch_optional(&self.pool).await?)
    }

    /// Saves a screen.
    pub(crate) async fn save_screen(&self, name: &str, query: &str) -> Result<Screen, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let saved: i64 =
            sqlx::query_scalar("SELECT count(*) FROM screens").fetch_one(&mut *transaction).await?;
        if saved >= SCREENS_MAX {
            return Err(StoreError::ScreensFull(SCREENS_MAX));
        }
        let insert = "INSERT INTO screens (name, query) VALUES (?, ?) ON CONFLICT (name) DO NOTHING \
                      RETURNING id, name, query, created_at";
        let screen: Option<Screen> =
            sqlx::query_as(insert).bind(name).bind(query).fetch_optional(&mut *transaction).await?;
        let Some(screen) = screen else {
            return Err(StoreError::NameTaken(name.to_owned()));
        };
        sqlx::raw_sql("UPDATE state SET screens = screens + 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(screen)
    }

    /// Deletes a saved screen; `false` when there is none of this id.
    pub(crate) async fn delete_screen(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let deleted =
            sqlx::query("DELETE FROM screens WHERE id = ?").bind(id).execute(&mut *transaction).await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::raw_sql("UPDATE state SET screens = screens + 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
