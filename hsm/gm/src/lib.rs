//! SM2, SM3 and SM4: the one cryptographic interface of the product
