//! What the screens are drawn with.

pub mod filter;
pub mod input;
pub mod list;
pub mod pen;
pub mod spark;
pub mod table;

pub use filter::Filter;
pub use input::Input;
pub use list::List;
pub use pen::Pen;
