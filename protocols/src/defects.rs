//! How a protocol declares its historical bugs: each once, with its id, its cause and what it breaks.

/// Writes `Defects`, a switch for each bug, and `DEFECTS`, what tools are told of them, from lines of the form
/// `field: "ID", "cause", ["invariant", ...];`.
macro_rules! defects {
    ($($field:ident: $id:literal, $about:literal, [$($breaks:expr),+];)+) => {
        /// Which defects are switched on.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Defects {
            $(#[doc = concat!($id, ": ", $about)] pub $field: bool,)+
        }

        impl Defects {
            /// Those whose ids are in `ids`.
            pub fn of(ids: &std::collections::BTreeSet<String>) -> Self {
                Defects { $($field: ids.contains($id),)+ }
            }
        }

        /// All of them.
        pub const DEFECTS: &[sim_core::Defect] =
            &[$(sim_core::Defect { id: $id, about: $about, breaks: &[$($breaks),+] },)+];
    };
}

pub(crate) use defects;
