//! What the screens are drawn with.

pub mod filter;
pub mod input;
pub mod line;
pub mod list;
pub mod pager;
pub mod pen;
pub mod spark;
pub mod table;

pub use filter::Filter;
pub use input::Input;
pub use list::List;
pub use pen::Pen;
