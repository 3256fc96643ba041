//! Where master keys live: the token trait and its soft back end
