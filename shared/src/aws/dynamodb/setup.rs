//! Creating the two tables, on one machine and in tests. Deployed ones come from `template.yaml`.

use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};

use super::convert::{PK, SK};
use super::{DynamoTable, error::meaning};
use crate::store::table::{TableError, TableName};

/// Attribute with the second since 1970 after which an item may be removed. In the data table idempotency rows alone have it.
pub const TTL: &str = "ttl";

impl DynamoTable {
    /// Creates both tables where they are missing; on-demand capacity, time to live on.
    ///
    /// # Errors
    /// What DynamoDB says, other than that a table exists.
    pub async fn create_tables(&self) -> Result<(), TableError> {
        for table in [TableName::Data, TableName::Volatile] {
            if self.create(table).await? {
                let ttl = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build().map_err(broken)?;
                let request = self.client.update_time_to_live().table_name(self.options.name(table));
                request.time_to_live_specification(ttl).send().await.map_err(meaning)?;
            }
        }
        Ok(())
    }

    /// Whether it was missing.
    async fn create(&self, table: TableName) -> Result<bool, TableError> {
        let attribute = |name, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
        let part = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let created = self
            .client
            .create_table()
            .table_name(self.options.name(table))
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute(PK, ScalarAttributeType::S).map_err(broken)?)
            .attribute_definitions(attribute(SK, ScalarAttributeType::B).map_err(broken)?)
            .key_schema(part(PK, KeyType::Hash).map_err(broken)?)
            .key_schema(part(SK, KeyType::Range).map_err(broken)?)
            .send()
            .await;
        match created {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.as_service_error(), Some(CreateTableError::ResourceInUseException(_))) => Ok(false),
            Err(error) => Err(meaning(error)),
        }
    }
}

fn broken(error: impl std::fmt::Display) -> TableError {
    TableError::Broken(error.to_string())
}
