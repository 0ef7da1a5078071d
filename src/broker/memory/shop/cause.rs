//! What goes wrong in the shop: which consumer fails on which events, and how that looks in its stack trace.

use std::sync::atomic::{AtomicBool, Ordering};

/// A cause of failures that can be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The payment gateway does not answer; retried, then dead-lettered.
    PaymentTimeout,
    /// An event of a schema version that the consumer does not know.
    UnknownVersion,
    /// A stock movement of an article that nobody knows; retried, because it may be on its way.
    MissingSku,
    /// A payment without a customer.
    NullCustomer,
    /// A payload larger than the push service takes.
    OversizedPayload,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PaymentTimeout,
        Self::UnknownVersion,
        Self::MissingSku,
        Self::NullCustomer,
        Self::OversizedPayload,
    ];

    /// The word that the operator types.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentTimeout => "payment-timeout",
            Self::UnknownVersion => "unknown-version",
            Self::MissingSku => "missing-sku",
            Self::NullCustomer => "null-customer",
            Self::OversizedPayload => "oversized-payload",
        }
    }

    /// The cause of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The group that fails on it.
    pub(super) fn group(self) -> &'static str {
        match self {
            Self::PaymentTimeout | Self::NullCustomer => "email",
            Self::UnknownVersion => "analytics",
            Self::MissingSku => "warehouse",
            Self::OversizedPayload => "notification",
        }
    }

    /// Whether trying again could help, so that it goes through the retry topic first.
    pub(super) fn is_retried(self) -> bool {
        matches!(self, Self::PaymentTimeout | Self::MissingSku)
    }

    /// The exceptions from the one thrown to the root, each with its message and its own frames.
    pub(super) fn exceptions(self, subject: &str) -> Vec<Exception> {
        match self {
            Self::PaymentTimeout => vec![
                Exception {
                    class: "shop.PaymentException",
                    message: format!("payment of {subject} could not be looked up"),
                    frames: &[
                        "shop.PaymentGateway.charge(PaymentGateway.java:91)",
                        "shop.Receipt.send(Receipt.java:44)",
                        "shop.EmailService.onPayment(EmailService.java:57)",
                    ],
                },
                Exception {
                    class: "java.net.SocketTimeoutException",
                    message: format!("gateway timed out after 3000 ms (order {subject})"),
                    frames: &[
                        "java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:288)",
                        "java.base/java.net.Socket$SocketInputStream.read(Socket.java:1099)",
                        "org.apache.http.impl.io.SessionInputBufferImpl.fillBuffer(SessionInputBufferImpl.java:153)",
                        "shop.PaymentGateway.charge(PaymentGateway.java:88)",
                    ],
                },
            ],
            Self::UnknownVersion => vec![Exception {
                class: "shop.UnknownVersionException",
                message: format!("OrderPlaced version 9 of {subject}: versions 1 to 2 are known"),
                frames: &[
                    "shop.OrderSchema.check(OrderSchema.java:31)",
                    "shop.AnalyticsService.onOrder(AnalyticsService.java:72)",
                ],
            }],
            Self::MissingSku => vec![Exception {
                class: "java.util.NoSuchElementException",
                message: format!("unknown sku {subject}"),
                frames: &[
                    "java.base/java.util.Optional.orElseThrow(Optional.java:377)",
                    "shop.Stock.find(Stock.java:46)",
                    "shop.WarehouseService.onInventory(WarehouseService.java:39)",
                ],
            }],
            Self::NullCustomer => vec![Exception {
                class: "java.lang.NullPointerException",
                message: "Cannot invoke \"shop.Customer.name()\" because \"customer\" is null".to_owned(),
                frames: &[
                    "shop.Receipt.render(Receipt.java:29)",
                    "shop.Receipt.send(Receipt.java:41)",
                    "shop.EmailService.onPayment(EmailService.java:57)",
                ],
            }],
            Self::OversizedPayload => vec![Exception {
                class: "shop.PayloadTooLargeException",
                message: format!("push message of {subject} is larger than 65536 bytes"),
                frames: &[
                    "shop.PushGateway.send(PushGateway.java:63)",
                    "shop.NotificationService.onOrder(NotificationService.java:35)",
                ],
            }],
        }
    }

    fn bit(self) -> usize {
        Self::ALL.iter().position(|c| *c == self).unwrap_or(0)
    }
}

/// One exception of a chain.
pub(super) struct Exception {
    /// Class.
    pub class: &'static str,
    /// Message.
    pub message: String,
    /// The frames above those that all listeners share.
    pub frames: &'static [&'static str],
}

/// Which causes are repaired.
#[derive(Debug, Default)]
pub(super) struct Repairs([AtomicBool; 5]);

impl Repairs {
    /// Repairs a cause; whether it was broken until now.
    pub fn repair(&self, cause: Cause) -> bool {
        !self.0[cause.bit()].swap(true, Ordering::Relaxed)
    }

    /// Whether a cause is repaired.
    pub fn is_repaired(&self, cause: Cause) -> bool {
        self.0[cause.bit()].load(Ordering::Relaxed)
    }
}
