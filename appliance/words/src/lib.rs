//! What the product says to people, in zh-CN and en, by message code
