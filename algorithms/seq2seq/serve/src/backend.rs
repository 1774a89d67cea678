//! The service in the form that the serving shell uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::unfold;
use kokanee_contract::MediaType;
use kokanee_endpoint::{Backend, Body, BoxFuture, Call, Reply, Shown, Visit};
use kokanee_http::{Code, Columns, Counted, MemoryBudget, Pieces, ServeError, Share};
use prometheus_client::registry::Registry;

use crate::codec::{Form, MEDIA_TYPES};
use crate::conversation::{Conversation, Source, Stream};
use crate::counts::COLUMNS;
use crate::page;
use crate::service::Service;

impl Backend for Service {
    fn accepts(&self) -> &[MediaType] {
        &MEDIA_TYPES
    }

    fn answers(&self) -> &[MediaType] {
        &MEDIA_TYPES
    }

    fn budget(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }

    fn invoke(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Reply, ServeError>> {
        Box::pin(async move {
            let Call { from, to, body, deadline, counters } = call;
            let (from, to) = (form(from.media)?, form(to.media)?);
            match body {
                Body::Whole(body) => {
                    self.answer_in_time(from, to, body, deadline, &counters).await.map(Reply::Whole)
                }
                Body::Streamed { incoming, share } => {
                    let unsent = share.another();
                    let answers = share.another();
                    let source = Source::Streamed(Box::new(Stream::new(incoming, from, share)));
                    let conversation = Conversation::new(self, source, to, answers, counters);
                    Ok(Reply::Pieces(pieces(conversation, unsent)))
                }
            }
        })
    }

    fn streams(&self, body: MediaType) -> bool {
        body != MediaType::Json
    }

    fn columns(&self) -> &'static Columns {
        &COLUMNS
    }

    fn health(&self) -> BoxFuture<'_, Result<(), ServeError>> {
        Box::pin(async {
            if self.is_alive().await {
                return Ok(());
            }
            Err(ServeError::new(Code::Internal, "the decoder did nothing for 2 s"))
        })
    }

    fn failure(&self) -> BoxFuture<'static, String> {
        let mut broken = self.broken();
        Box::pin(async move {
            if broken.wait_for(|broken| *broken).await.is_err() {
                // The decoder has ended together with the service.
                std::future::pending::<()>().await;
            }
            "the decoder failed and could not be made anew".to_owned()
        })
    }

    fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    fn page(self: Arc<Self>, visit: Visit) -> Option<BoxFuture<'static, Shown>> {
        Some(Box::pin(page::show(self, visit)))
    }

    fn identity(&self) -> BTreeMap<String, String> {
        self.settings.identity.clone()
    }
}

/// The shell asks only for the offered types.
fn form(media: MediaType) -> Result<Form, ServeError> {
    Form::of(media).ok_or_else(|| {
        ServeError::new(Code::UnsupportedMediaType, format!("{media} is neither read nor written here"))
    })
}

/// The pieces of an answer, each counted until it is sent.
fn pieces(conversation: Conversation, unsent: Share) -> Pieces {
    Box::pin(unfold(Some((conversation, unsent)), |state| async {
        let (mut conversation, unsent) = state?;
        let next = async {
            let Some(bytes) = conversation.next_piece().await? else { return Ok(None) };
            let mut piece = Counted { bytes, share: unsent.another() };
            piece.share.grow(piece.bytes.capacity()).await?;
            Ok(Some(piece))
        };
        match next.await {
            Ok(Some(piece)) => Some((Ok(piece), Some((conversation, unsent)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}
