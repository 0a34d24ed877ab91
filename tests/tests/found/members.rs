//! Section A: who is thrown out, let through or deceived.
