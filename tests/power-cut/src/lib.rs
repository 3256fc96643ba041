//! Nothing acknowledged is lost when the power goes
