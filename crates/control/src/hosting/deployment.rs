//! What an endpoint runs: an endpoint configuration with its models, as they were when the endpoint was created or updated. Both may be
//! deleted afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::Record;
use crate::s3_uri::{S3Uri, S3UriError};

/// An endpoint configuration in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The time of the request, in milliseconds since 1970. It differs between the deployments of one endpoint.
    pub generation: i64,
    /// The configuration's name.
    pub config_name: String,
    /// The time when the configuration was created. It distinguishes a configuration that was deleted and created again.
    pub config_created_ms: i64,
    /// Its variants.
    pub variants: Vec<Variant>,
}

/// A variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The type of its instances, which is only a name here.
    #[serde(default)]
    pub instance_type: String,
    /// The container that its instances run.
    pub container: Container,
    /// Its share of the traffic, relative to the weights of the others.
    pub weight: f64,
    /// The desired weight.
    pub desired_weight: f64,
    /// The number of instances that answer.
    pub instances: u32,
    /// The desired number of instances.
    pub desired_instances: u32,
    /// The number of instances that have answered before. Those are always restarted when they end; others that end make the endpoint fail.
    pub proven_instances: u32,
    /// How long an instance may take to answer, if the configuration says so.
    pub startup_seconds: Option<u64>,
}

/// The program and the model of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The image's name.
    pub image: String,
    /// The location of its model; some images need none.
    pub model: Option<ModelData>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
}

/// A model in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelData {
    /// The bucket.
    pub bucket: String,
    /// The key, or the prefix of keys.
    pub key: String,
    /// The form of the model at this location.
    pub form: ModelForm,
}

/// The form of a model in S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelForm {
    /// A packed `model.tar.gz`.
    Archive,
    /// The files of a folder.
    Folder,
    /// One file.
    File,
}

impl Deployment {
    /// A configuration that is used from now on. `model` finds models by their names.
    ///
    /// # Errors
    /// Those of `model`.
    pub fn new<E>(
        config: &Record,
        generation: i64,
        model: impl Fn(&str) -> Result<Record, E>,
    ) -> Result<Self, E> {
        let variants = config.request.get("ProductionVariants").and_then(Value::as_array);
        let variants = variants.into_iter().flatten().map(|variant| {
            let text = |name: &str| variant[name].as_str().unwrap_or_default();
            let weight = variant["InitialVariantWeight"].as_f64().unwrap_or(1.0);
            let container = Container::of(&model(text("ModelName"))?);
            Ok(Variant {
                name: text("VariantName").to_owned(),
                instance_type: text("InstanceType").to_owned(),
                container,
                weight,
                desired_weight: weight,
                instances: 0,
                desired_instances: count(&variant["InitialInstanceCount"]).unwrap_or(1),
                proven_instances: 0,
                startup_seconds: variant["ContainerStartupHealthCheckTimeoutInSeconds"].as_u64(),
            })
        });
        Ok(Self {
            generation,
            config_name: config.name.clone(),
            config_created_ms: config.created_ms,
            variants: variants.collect::<Result<_, E>>()?,
        })
    }

    /// The desired number of instances of all variants together.
    pub fn desired_instances(&self) -> u32 {
        self.variants.iter().map(|variant| variant.desired_instances).fold(0, u32::saturating_add)
    }

    /// The variant of this name.
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

impl Container {
    /// The container of a model.
    pub fn of(model: &Record) -> Self {
        let containers = model.request.get("Containers").and_then(Value::as_array);
        let first = containers.and_then(|containers| containers.first());
        let container = model.request.get("PrimaryContainer").or(first).unwrap_or(&Value::Null);
        let environment = container["Environment"].as_object().into_iter().flatten();
        Self {
            image: container["Image"].as_str().unwrap_or_default().to_owned(),
            // The address was checked when the model was created.
            model: ModelData::of(container).ok().flatten(),
            environment: environment
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

impl ModelData {
    /// Reads the location of a container's model from `ModelDataUrl` or `ModelDataSource`.
    ///
    /// # Errors
    /// If the location is not an address in S3.
    pub fn of(container: &Value) -> Result<Option<Self>, S3UriError> {
        let source = &container["ModelDataSource"]["S3DataSource"];
        let (uri, form) = if let Some(uri) = source["S3Uri"].as_str() {
            let form = match (source["S3DataType"].as_str(), source["CompressionType"].as_str()) {
                (Some("S3Prefix"), _) => ModelForm::Folder,
                (_, Some("None")) => ModelForm::File,
                _ => ModelForm::Archive,
            };
            (uri, form)
        } else if let Some(uri) = container["ModelDataUrl"].as_str().filter(|uri| !uri.is_empty()) {
            (uri, ModelForm::Archive)
        } else {
            return Ok(None);
        };
        let S3Uri { bucket, key } = S3Uri::parse(uri)?;
        Ok(Some(Self { bucket, key, form }))
    }
}

fn count(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}
