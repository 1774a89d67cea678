//! The life of an endpoint, and which changes are possible when.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::{Deployment, Variant};

/// The longest `FailureReason`, in characters.
const LONGEST_REASON: usize = 1024;

/// `EndpointStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointStatus {
    /// Its first instances are being started.
    Creating,
    /// It answers, and is being changed.
    Updating,
    /// It answers.
    InService,
    /// Its instances are being stopped; after that, it is deleted.
    Deleting,
    /// It never answered.
    Failed,
}

/// The state of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointState {
    /// The status.
    pub status: EndpointStatus,
    /// The reason why it failed, or why its last change failed.
    pub failure_reason: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed.
    pub modified_ms: i64,
    /// The deployment that answers requests.
    pub serving: Option<Deployment>,
    /// The deployment that is being started and will answer.
    pub pending: Option<Deployment>,
    /// The `DeploymentConfig` of the last request that had one.
    pub deployment_config: Option<Value>,
}

/// The properties that an update keeps for variants with the same name in the old and the new configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Weights.
    pub weights: bool,
    /// Numbers of instances.
    pub instances: bool,
}

/// The desired changes to a variant; a property that is absent stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The variant.
    pub variant: String,
    /// Its desired weight.
    pub weight: Option<f64>,
    /// Its desired number of instances.
    pub instances: Option<u32>,
}

/// The reason why a change to an endpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is being created, updated or deleted.
    InProgress,
    /// It has failed.
    Failed,
    /// It already runs this configuration.
    SameConfig,
    /// Its configuration has no such variants.
    NoVariant(Vec<String>),
}

impl EndpointStatus {
    /// The status in AWS's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::InService => "InService",
            Self::Deleting => "Deleting",
            Self::Failed => "Failed",
        }
    }
}

impl EndpointState {
    /// A new endpoint.
    pub fn new(deployment: Deployment, now_ms: i64) -> Self {
        Self {
            status: EndpointStatus::Creating,
            failure_reason: None,
            created_ms: now_ms,
            modified_ms: now_ms,
            serving: None,
            pending: Some(deployment),
            deployment_config: None,
        }
    }

    /// The desired number of instances; during an update, the larger number of the two configurations.
    pub fn desired_instances(&self) -> u32 {
        if self.status == EndpointStatus::Failed {
            return 0;
        }
        let both = [&self.serving, &self.pending].into_iter().flatten();
        both.map(Deployment::desired_instances).max().unwrap_or_default()
    }

    /// Whether it answers requests.
    pub fn is_in_service(&self) -> bool {
        matches!(self.status, EndpointStatus::InService | EndpointStatus::Updating)
    }

    /// Starts an update to another configuration.
    pub(super) fn update(
        &mut self,
        mut new: Deployment,
        retained: Retained,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let serving = self.changeable()?;
        if serving.config_name.eq_ignore_ascii_case(&new.config_name)
            && serving.config_created_ms == new.config_created_ms
        {
            return Err(Refusal::SameConfig);
        }
        for variant in &mut new.variants {
            let Some(old) = serving.variant(&variant.name) else { continue };
            if retained.weights {
                (variant.weight, variant.desired_weight) = (old.desired_weight, old.desired_weight);
            }
            if retained.instances {
                variant.desired_instances = old.desired_instances;
            }
        }
        // The generation names the instances' folders, so it must never repeat.
        new.generation = new.generation.max(serving.generation + 1);
        self.pending = Some(new);
        self.enter(EndpointStatus::Updating, now_ms);
        Ok(())
    }

    /// Starts to change the weights or the numbers of instances of variants.
    pub(super) fn reweigh(&mut self, wishes: &[Wish], now_ms: i64) -> Result<(), Refusal> {
        let serving = self.changeable()?;
        let unknown: Vec<String> = wishes
            .iter()
            .filter(|wish| serving.variant(&wish.variant).is_none())
            .map(|wish| wish.variant.clone())
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::NoVariant(unknown));
        }
        for wish in wishes {
            for variant in serving.variants.iter_mut().filter(|variant| variant.name == wish.variant) {
                variant.desired_weight = wish.weight.unwrap_or(variant.desired_weight);
                variant.desired_instances = wish.instances.unwrap_or(variant.desired_instances);
            }
        }
        self.enter(EndpointStatus::Updating, now_ms);
        Ok(())
    }

    /// Starts to delete the endpoint.
    pub(super) fn delete(&mut self, now_ms: i64) -> Result<(), Refusal> {
        match self.status {
            EndpointStatus::InService | EndpointStatus::Failed => {
                self.enter(EndpointStatus::Deleting, now_ms);
                Ok(())
            }
            _ => Err(Refusal::InProgress),
        }
    }

    /// Records that all instances of the pending deployment answer; it takes over.
    pub(super) fn deployed(&mut self, generation: i64, now_ms: i64) {
        let Some(mut pending) = self.pending.take_if(|pending| pending.generation == generation) else {
            return;
        };
        for variant in &mut pending.variants {
            variant.settle();
            variant.instances = variant.desired_instances;
        }
        self.serving = Some(pending);
        self.enter(EndpointStatus::InService, now_ms);
    }

    /// Records that the pending deployment will never answer. If another one answers, it stays in service.
    pub(super) fn deployment_failed(&mut self, generation: i64, reason: &str, now_ms: i64) {
        if self.pending.as_ref().is_none_or(|pending| pending.generation != generation) {
            return;
        }
        let status = if self.serving.is_some() {
            self.pending = None;
            EndpointStatus::InService
        } else {
            EndpointStatus::Failed
        };
        self.enter(status, now_ms);
        self.failure_reason = Some(reason.chars().take(LONGEST_REASON).collect());
    }

    /// Records that variants have reached their desired weights and numbers of instances.
    pub(super) fn settled(&mut self, now_ms: i64) {
        let Some(serving) = self.reweighed() else { return };
        serving.variants.iter_mut().for_each(Variant::settle);
        self.enter(EndpointStatus::InService, now_ms);
    }

    /// Records that variants cannot have more instances. Everything returns to its previous state.
    pub(super) fn settling_failed(&mut self, reason: &str, now_ms: i64) {
        let Some(serving) = self.reweighed() else { return };
        for variant in &mut serving.variants {
            variant.desired_instances = variant.proven_instances;
            variant.desired_weight = variant.weight;
        }
        self.enter(EndpointStatus::InService, now_ms);
        self.failure_reason = Some(reason.chars().take(LONGEST_REASON).collect());
    }

    /// Records how many instances of each variant answer at the moment.
    pub(super) fn counted(&mut self, generation: i64, counts: &[(String, u32)]) {
        let Some(serving) = self.serving.as_mut().filter(|serving| serving.generation == generation) else {
            return;
        };
        for (name, count) in counts {
            for variant in serving.variants.iter_mut().filter(|variant| variant.name == *name) {
                variant.instances = *count;
            }
        }
    }

    /// The deployment whose weights and instances are changing, if there is one.
    fn reweighed(&mut self) -> Option<&mut Deployment> {
        let is_so = self.status == EndpointStatus::Updating && self.pending.is_none();
        self.serving.as_mut().filter(|_| is_so)
    }

    fn changeable(&mut self) -> Result<&mut Deployment, Refusal> {
        match (self.status, &mut self.serving) {
            (EndpointStatus::InService, Some(serving)) => Ok(serving),
            (EndpointStatus::Failed, _) => Err(Refusal::Failed),
            _ => Err(Refusal::InProgress),
        }
    }

    fn enter(&mut self, status: EndpointStatus, now_ms: i64) {
        self.status = status;
        self.failure_reason = None;
        self.modified_ms = self.modified_ms.max(now_ms);
    }
}

impl Variant {
    fn settle(&mut self) {
        self.weight = self.desired_weight;
        self.proven_instances = self.desired_instances;
    }
}
