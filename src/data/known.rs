//! The table of known data sets: one row each.

use std::path::PathBuf;

use super::error::DataError;
use super::idx_folder::TEST_THEN_TRAIN;
use super::mnist5k;
use super::set::ImageSet;
use super::{affnist, cifar, frgc, mnist_color, numpy, stl10, svhn, usps};

/// A data set that is known by name.
#[derive(Debug)]
pub struct KnownSet {
    /// The name it is asked for by, and that of the subfolder it is looked for in.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Images in the original, 0 where it may have any number.
    pub images: usize,
    /// Images that count in scores, the first ones; all of them but in sets with images that only train.
    pub scored: usize,
    /// Channels, height and width of an image; photographs are brought to it.
    pub shape: (usize, usize, usize),
    /// Images of each class in the original; empty where nobody has counted them for this table.
    pub class_counts: &'static [usize],
    /// [`ImageSet::checksum`] of the original, where it was at hand.
    pub checksum: Option<u32>,
    /// The forms its images may be had in. The first that is found is taken.
    pub(super) forms: &'static [Form],
    /// Subfolders besides the one of the set's own name, such as archives unpack to.
    pub(super) subfolders: &'static [&'static str],
    /// Folders of the system, looked in last.
    pub(super) system: &'static [&'static str],
    /// How to get it.
    pub hint: Option<&'static str>,
    /// Numbers of the images that belong to it, separated by white space; all of them if there is no list.
    pub(super) only: Option<&'static str>,
}

/// What a reader of files is: it gets the name of the set and the files in the order of the table.
pub(super) type Load = fn(&str, &[PathBuf]) -> Result<ImageSet, DataError>;

/// A form that the images of a known set may be had in.
#[derive(Debug)]
pub(super) enum Form {
    /// The program itself.
    Embedded(fn() -> Result<ImageSet, DataError>),
    /// Pairs of IDX files in one folder, by their stems, in the order in which they are joined.
    Idx(&'static [&'static str]),
    /// Files in one folder and their reader. Whether the checksum of the table is that of this form: numbers that were
    /// rounded on another way may differ by one.
    Files { files: &'static [&'static str], load: Load, exact: bool },
    /// A folder of the set's own name with photographs of any size.
    Photographs,
    /// Made from another known set where nothing else is found.
    Made { of: &'static str, make: fn(&str, &ImageSet) -> Result<ImageSet, DataError> },
}

/// What most rows have.
const PLAIN: KnownSet = KnownSet {
    name: "",
    about: "",
    images: 0,
    scored: usize::MAX,
    shape: (1, 28, 28),
    class_counts: &[],
    checksum: None,
    forms: &[],
    subfolders: &[],
    system: &[],
    hint: None,
    only: None,
};

const MNIST: Option<&str> =
    Some("MNIST is at https://yann.lecun.com/exdb/mnist, and in many mirrors under the same file names");

/// A form of files whose content is always the same.
const fn files(files: &'static [&'static str], load: Load) -> Form {
    Form::Files { files, load, exact: true }
}

/// A new set is a new row here.
pub(super) static KNOWN: &[KnownSet] = &[
    KnownSet {
        name: mnist5k::NAME,
        about: "5 000 digits of MNIST, part of the program",
        images: 5_000,
        class_counts: &[500; 10],
        checksum: Some(0x7ca1_c8ff),
        forms: &[Form::Embedded(mnist5k::load)],
        ..PLAIN
    },
    KnownSet {
        name: "mnist",
        about: "handwritten digits, test and training images",
        images: 70_000,
        class_counts: &[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        checksum: Some(0x1d3c_d1e8),
        forms: &[Form::Idx(&TEST_THEN_TRAIN)],
        hint: MNIST,
        ..PLAIN
    },
    KnownSet {
        name: "mnist-test",
        about: "the test images of MNIST",
        images: 10_000,
        class_counts: &[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        checksum: Some(0x190e_897b),
        forms: &[Form::Idx(&["t10k"])],
        subfolders: &["mnist"],
        hint: MNIST,
        ..PLAIN
    },
    KnownSet {
        name: "mnist-1k",
        about: "a thousand of the test images of MNIST, those of the publication",
        images: 1_000,
        class_counts: &[100, 96, 124, 133, 88, 85, 101, 88, 96, 89],
        checksum: Some(0x10ed_8786),
        forms: &[Form::Idx(&["t10k"])],
        subfolders: &["mnist", "mnist-test"],
        hint: MNIST,
        // numpy.random.seed(46); numpy.random.choice(range(10000), 1000, replace=False)
        only: Some(include_str!("mnist_1k.txt")),
        ..PLAIN
    },
    KnownSet {
        name: "mnist-color",
        about: "MNIST in random colours",
        images: 70_000,
        shape: (3, 28, 28),
        class_counts: &[6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
        // Of the set as it is made; NumPy makes the same bytes.
        checksum: Some(0x90d3_806f),
        forms: &[Form::Idx(&["mnist-color"]), Form::Made { of: "mnist", make: mnist_color::make }],
        ..PLAIN
    },
    KnownSet {
        name: "affnist-test",
        about: "the test images of MNIST under affine maps, 32 of each",
        images: 320_000,
        shape: (1, 40, 40),
        class_counts: &[31360, 36320, 33024, 32320, 31424, 28544, 30656, 32896, 31168, 32288],
        forms: &[
            files(&["affNIST_test.mat"], affnist::load),
            files(&["test.mat"], affnist::load),
            Form::Idx(&["affnist-test"]),
            Form::Made { of: "mnist-test", make: affnist::make },
        ],
        subfolders: &["affNIST"],
        hint: Some("affNIST is https://www.cs.toronto.edu/~tijmen/affNIST/32x/transformed/test.mat.zip"),
        ..PLAIN
    },
    KnownSet {
        name: "fashion-mnist",
        about: "articles of clothing, test and training images",
        images: 70_000,
        class_counts: &[7000; 10],
        checksum: Some(0x36ac_76db),
        forms: &[Form::Idx(&TEST_THEN_TRAIN)],
        system: &["/usr/share/datasets/fashion-mnist"],
        hint: Some("Debian and Ubuntu have it in the package dataset-fashion-mnist"),
        ..PLAIN
    },
    KnownSet {
        name: "usps",
        about: "handwritten digits of postal codes",
        images: 9_298,
        shape: (1, 16, 16),
        class_counts: &[1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
        checksum: Some(0x3872_229d),
        forms: &[
            Form::Idx(&["usps"]),
            Form::Files { files: &["usps.h5"], load: usps::load_hdf5, exact: false },
            Form::Files { files: &["usps.bz2", "usps.t.bz2"], load: usps::load_libsvm, exact: false },
        ],
        hint: Some(
            "usps.bz2 and usps.t.bz2 are at https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html, \
             usps.h5 is on Kaggle as USPS dataset",
        ),
        ..PLAIN
    },
    KnownSet {
        name: "frgc",
        about: "faces of 20 people",
        images: 2_462,
        shape: (3, 32, 32),
        forms: &[files(&["data4torch.h5"], frgc::load)],
        subfolders: &["FRGC"],
        hint: Some("data4torch.h5 is in datasets/FRGC of https://github.com/XifengGuo/JULE-Torch"),
        ..PLAIN
    },
    KnownSet {
        name: "svhn",
        about: "house numbers; scores count test and training images, the extra ones only train",
        images: 630_420,
        scored: 99_289,
        shape: (3, 32, 32),
        forms: &[files(&["test_32x32.mat", "train_32x32.mat", "extra_32x32.mat"], svhn::load)],
        subfolders: &["SVHN"],
        hint: Some("SVHN is at http://ufldl.stanford.edu/housenumbers, format 2"),
        ..PLAIN
    },
    KnownSet {
        name: "cifar10",
        about: "small photographs of 10 kinds, training and test images",
        images: 60_000,
        shape: (3, 32, 32),
        forms: &[files(
            &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
            cifar::load_10,
        )],
        subfolders: &["cifar-10-batches-bin"],
        hint: Some("the binary version is https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
        ..PLAIN
    },
    KnownSet {
        name: "cifar100",
        about: "small photographs of 100 kinds, training and test images",
        images: 60_000,
        shape: (3, 32, 32),
        forms: &[files(&["train.bin", "test.bin"], cifar::load_100)],
        subfolders: &["cifar-100-binary"],
        hint: Some("the binary version is https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"),
        ..PLAIN
    },
    KnownSet {
        name: "stl10",
        about: "photographs of 10 kinds, labelled training and test images",
        images: 13_000,
        shape: (3, 96, 96),
        forms: &[files(&["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"], stl10::load)],
        subfolders: &["stl10_binary"],
        hint: Some("STL-10 is http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"),
        ..PLAIN
    },
    KnownSet {
        name: "coil20",
        about: "20 objects seen from 72 sides",
        images: 1_440,
        shape: (1, 32, 32),
        class_counts: &[72; 20],
        checksum: Some(0xdea8_36e8),
        forms: &[
            files(&["coil20.npz"], numpy::load_npz),
            files(&["coil20-images.npy", "coil20-labels.npy"], numpy::load_npy),
        ],
        hint: Some("the same images are in data/COIL20.mat of https://github.com/hyzhang98/AdaGAE"),
        ..PLAIN
    },
    KnownSet {
        name: "umist",
        about: "faces of 20 people from the side to the front",
        images: 575,
        shape: (1, 32, 32),
        class_counts: &[38, 35, 26, 24, 26, 23, 19, 22, 20, 32, 34, 34, 26, 30, 19, 26, 26, 33, 48, 34],
        checksum: Some(0xc5d8_3710),
        forms: &[
            files(&["umist32.npz"], numpy::load_npz),
            files(&["umist-images.npy", "umist-labels.npy"], numpy::load_npy),
        ],
        hint: Some("the same images are in data/UMIST.mat of https://github.com/hyzhang98/AdaGAE"),
        ..PLAIN
    },
    KnownSet {
        name: "cmu-pie",
        about: "faces of 68 people under 42 lightings",
        images: 2_856,
        shape: (1, 32, 32),
        class_counts: &[42; 68],
        checksum: Some(0x4807_79d0),
        forms: &[
            files(&["cmu_pie_pose27.npz"], numpy::load_npz),
            files(&["cmu-pie-images.npy", "cmu-pie-labels.npy"], numpy::load_npy),
        ],
        hint: Some("the same images are in PIE_pose27.mat of https://github.com/jwyang/JULE.torch"),
        ..PLAIN
    },
    KnownSet {
        name: "orl-faces",
        about: "10 photographs of each of 40 faces",
        images: 400,
        shape: (1, 32, 32),
        class_counts: &[10; 40],
        checksum: Some(0x11b4_6693),
        forms: &[
            files(&["orl_32x32.npz"], numpy::load_npz),
            files(&["orl-faces-images.npy", "orl-faces-labels.npy"], numpy::load_npy),
        ],
        hint: Some(
            "the same images are in Data/ORL_32x32.mat of https://github.com/panji530/Deep-subspace-clustering-networks",
        ),
        ..PLAIN
    },
    KnownSet {
        name: "megadepth",
        about: "photographs of landmarks, in a folder of this name",
        shape: (3, 128, 128),
        forms: &[Form::Photographs],
        subfolders: &["MegaDepth"],
        hint: Some(
            "photographs of landmarks are at https://www.cs.cornell.edu/projects/megadepth; the folder of one landmark is \
             what is wanted",
        ),
        ..PLAIN
    },
    KnownSet {
        name: "instagram",
        about: "photographs that share a tag, in a folder of this name",
        shape: (3, 128, 128),
        forms: &[Form::Photographs],
        hint: Some("the photographs of the publication are not to be had; any folder of photographs will do"),
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_agree_with_themselves() {
        for (i, set) in KNOWN.iter().enumerate() {
            let counted: usize = set.class_counts.iter().sum();
            assert!(set.class_counts.is_empty() || counted == set.images, "{}: {counted}", set.name);
            let any_number = matches!(set.forms, [Form::Photographs]);
            assert!((set.images > 0) != any_number && !set.forms.is_empty(), "{}", set.name);
            assert!(KNOWN[..i].iter().all(|before| before.name != set.name), "{} comes twice", set.name);
        }
    }
}
