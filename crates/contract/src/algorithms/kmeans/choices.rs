//! Hyperparameters of k-means whose values are a few words.

use crate::spec::choice;

choice! {
    /// How initial centres are chosen.
    InitMethod {
        /// Distinct rows, each as likely as the others.
        Random = "random",
        /// Rows with a probability that grows with their distance to those chosen before, Arthur and Vassilvitskii 2007. The
        /// guide's prose writes `k-means++`.
        KmeansPlusPlus = "kmeans++" | "k-means++",
    }
}

choice! {
    /// A measure of how near the rows of the test channel are to their centres.
    EvalMetric {
        /// Mean of the squared distances.
        Msd = "msd",
        /// Sum of the squared distances.
        Ssd = "ssd",
    }
}
