use super::*;

#[test]
fn a_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Lock(LockError::Busy(_))), "{error}");
    drop(store);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_store_that_was_closed_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let insert = "INSERT INTO tags (arn, key, value) VALUES ('a', 'k', 'v')";
    store.write(|transaction| transaction.execute(insert, []).map_err(StoreError::from)).unwrap();
    let count = "SELECT count(*) FROM tags";
    let read = || {
        store.read(|transaction| Ok::<i64, StoreError>(transaction.query_one(count, [], |row| row.get(0))?))
    };
    assert_eq!(read().unwrap(), 1);
    drop(store);
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name == "kokanee.db-wal"));
}

#[test]
fn a_later_release_keeps_its_database() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 1000).unwrap();
    drop(connection);
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("later release") && error.contains("1000"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "not a database, but something that a person wrote ".repeat(100);
    std::fs::write(folder.path().join(FILE), &text).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), text);
}

#[test]
fn a_transaction_is_whole_or_undone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let insert = |transaction: &Transaction<'_>, key: &str| {
        transaction.execute("INSERT INTO tags (arn, key, value) VALUES ('a', ?1, 'v')", [key]).map(drop)
    };
    let undone: Result<(), StoreError> = store.write(|transaction| {
        insert(transaction, "first")?;
        insert(transaction, "first")?;
        Ok(())
    });
    assert!(matches!(undone, Err(StoreError::Statement(_))));
    store.write(|transaction| Ok::<_, StoreError>(insert(transaction, "second")?)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let keys: Vec<String> = store
        .read(|transaction| {
            let mut statement = transaction.prepare("SELECT key FROM tags")?;
            let keys = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>();
            Ok::<_, StoreError>(keys?)
        })
        .unwrap();
    assert_eq!(keys, ["second"]);
}
