import { postgresStores } from '../support/postgres/fixture.js';
import { storeContract } from './contract/all.js';

storeContract(postgresStores());
