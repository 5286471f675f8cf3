//! ACLs and actions over a view of the bytes.
