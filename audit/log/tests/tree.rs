//! The tree against RFC 6962's reference vectors (SHA-256), the SM3 vectors, and itself.

#![allow(clippy::unwrap_used, reason = "the reference implementation beside the tests")]

use audit_log::hash::{Digest, Sm3, TreeHash};
use audit_log::proof::{self, Head, Nodes};
use audit_log::tree::{Frontier, Position};
use proptest::prelude::*;
use sha2::Digest as _;
use std::convert::Infallible;

enum Sha256 {}

impl TreeHash for Sha256 {
    fn digest(pieces: &[&[u8]]) -> Digest {
        let mut hash = sha2::Sha256::new();
        pieces.iter().for_each(|piece| hash.update(piece));
        hash.finalize().into()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The eight leaves of the reference implementation of RFC 6962 (certificate-transparency, merkletree tests).
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// All leaf hashes; nodes are computed by the recursion of RFC 6962 §2.1, not by the code under test.
struct Leaves(Vec<Digest>);

impl Leaves {
    fn root<H: TreeHash>(&self, start: usize, end: usize) -> Digest {
        match end - start {
            0 => H::empty(),
            1 => self.0[start],
            width => {
                let split = start + (1..).map(|n| 1usize << n).find(|k| *k >= width).unwrap() / 2;
                H::node(&self.root::<H>(start, split), &self.root::<H>(split, end))
            }
        }
    }
}

struct Of<'a, H>(&'a Leaves, std::marker::PhantomData<H>);

impl<H: TreeHash> Nodes for Of<'_, H> {
    type Error = Infallible;
    fn node(&self, at: Position) -> Result<Digest, Infallible> {
        let start = (at.index << at.level) as usize;
        Ok(self.0.root::<H>(start, start + (1 << at.level)))
    }
}

fn of<H>(leaves: &Leaves) -> Of<'_, H> {
    Of(leaves, std::marker::PhantomData)
}

#[test]
fn roots_of_the_rfc_6962_reference_tree() {
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::<Sha256>::default();
    assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in LEAVES.iter().zip(roots) {
        tree.push(Sha256::leaf(leaf));
        assert_eq!(hex(&tree.root()), root);
    }
}

#[test]
fn proofs_of_the_rfc_6962_reference_tree() {
    let leaves = Leaves(LEAVES.iter().map(|leaf| Sha256::leaf(leaf)).collect());
    let path = |path: Result<Option<Vec<Digest>>, Infallible>| {
        path.unwrap().unwrap().iter().map(|hash| hex(hash)).collect::<Vec<_>>()
    };
    let one_to_eight = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(path(proof::inclusion::<Sha256, _>(&of::<Sha256>(&leaves), 0, 8)), one_to_eight);
    assert_eq!(path(proof::consistency::<Sha256, _>(&of::<Sha256>(&leaves), 1, 8)), one_to_eight);
    assert_eq!(
        path(proof::inclusion::<Sha256, _>(&of::<Sha256>(&leaves), 5, 8)),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        path(proof::consistency::<Sha256, _>(&of::<Sha256>(&leaves), 6, 8)),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn sm3_vectors_of_the_format() {
    let mut tree = Frontier::<Sm3>::default();
    assert_eq!(hex(&tree.root()), "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b");
    assert_eq!(hex(&Sm3::leaf(b"")), "2daef60e7a0b8f5e024c81cd2ab3109f2b4f155cf83adeb2ae5532f74a157fdf");
    (0..7).for_each(|n| tree.push(Sm3::leaf(format!("e{n}").as_bytes())));
    assert_eq!(hex(&tree.root()), "5988ff6bc8fc7eadd2911db005abf1a6759efe67696c6b747708f30178b99e51");
}

#[test]
fn every_proof_of_every_small_tree_holds_and_no_other_does() {
    let leaves = Leaves((0..40u8).map(|n| Sm3::leaf(&[n])).collect());
    let head = |size: usize| Head { size: size as u64, root: leaves.root::<Sm3>(0, size) };
    for size in 0..=40 {
        let mut tree = Frontier::<Sm3>::default();
        leaves.0[..size].iter().for_each(|leaf| tree.push(*leaf));
        let root = head(size).root;
        assert_eq!(tree.root(), root);
        assert_eq!(proof::root::<Sm3, _>(&of::<Sm3>(&leaves), size as u64).unwrap(), root);
        for index in 0..size {
            let path =
                proof::inclusion::<Sm3, _>(&of::<Sm3>(&leaves), index as u64, size as u64).unwrap().unwrap();
            let verify = |leaf, index: usize, path: &[Digest]| {
                proof::verify_inclusion::<Sm3>(leaf, index as u64, size as u64, path, &root)
            };
            assert!(verify(leaves.0[index], index, &path));
            assert!(!verify(Sm3::leaf(b"other"), index, &path));
            assert!(!verify(leaves.0[index], index + 1, &path));
            assert!(path.is_empty() || !verify(leaves.0[index], index, &path[1..]));
            assert!(!verify(leaves.0[index], index, &[&path[..], &[root]].concat()));
        }
        for old in 0..=size {
            let path =
                proof::consistency::<Sm3, _>(&of::<Sm3>(&leaves), old as u64, size as u64).unwrap().unwrap();
            assert!(proof::verify_consistency::<Sm3>(&head(old), &head(size), &path), "{old} {size}");
            let other = Head { root: Sm3::leaf(b"other"), ..head(old) };
            assert!(!proof::verify_consistency::<Sm3>(&other, &head(size), &path));
            let longer = [&path[..], &[root]].concat();
            assert!(!proof::verify_consistency::<Sm3>(&head(old), &head(size), &longer));
        }
        assert_eq!(proof::inclusion::<Sm3, _>(&of::<Sm3>(&leaves), size as u64, size as u64).unwrap(), None);
        assert_eq!(
            proof::consistency::<Sm3, _>(&of::<Sm3>(&leaves), size as u64 + 1, size as u64).unwrap(),
            None
        );
    }
}

proptest! {
    #[test]
    fn a_tree_goes_on_from_its_peaks(first in 0usize..700, more in 0usize..300) {
        let leaves: Vec<Digest> = (0..first + more).map(|n| Sm3::leaf(&n.to_be_bytes())).collect();
        let mut whole = Frontier::<Sm3>::default();
        leaves[..first].iter().for_each(|leaf| whole.push(*leaf));
        let mut again = Frontier::<Sm3>::from_peaks(whole.size(), whole.peaks().to_vec()).unwrap();
        leaves[first..].iter().for_each(|leaf| { whole.push(*leaf); again.push(*leaf); });
        prop_assert_eq!(whole.root(), again.root());
    }
}
