//! The settings file: its types, its checks, and where and how to mend what is wrong
